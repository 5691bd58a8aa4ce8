// The inbox of a development server: instants as this machine writes them, and codes into the clipboard.

for (const time of document.querySelectorAll("time")) time.textContent = new Date(time.dateTime).toLocaleString();
for (const button of document.querySelectorAll("[data-code]")) {
  button.addEventListener("click", async () => {
    const { code } = button.dataset;
    const copied = await navigator.clipboard?.writeText(code).then(() => true, () => false);
    document.getElementById("told").textContent = copied ? `${code} is in the clipboard.` : `The code is ${code}.`;
  });
}
