// Whether fetch and axios reach a house by its name, under its certificate.
import "./here.mjs";
import axios from "axios";
import { readFileSync } from "node:fs";

const { url } = JSON.parse(readFileSync(0, "utf8"));
const fetched = await (await fetch(url + "/")).json();
const { data } = await axios.get(url + "/");
console.log(JSON.stringify({ fetched, data }));
