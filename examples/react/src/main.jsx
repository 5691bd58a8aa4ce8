// Notes on another origin than their API: the access token is in memory alone, the refresh token in a cookie that no
// script sees (mode hybrid).
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { createAuth } from "watchword-client";
import { SessionProvider, useAuth, useSession } from "watchword-client/react";

const API = import.meta.env.VITE_API_URL ?? "http://127.0.0.1:8000";

function App() {
  const { data, isPending, error } = useSession();
  if (isPending) return <p role="status">One moment…</p>;
  return (
    <>
      {data ? <Notes key={data.session.id} user={data.user} /> : <SignIn />}
      {error && <p role="alert">{error.message}</p>}
    </>
  );
}

function SignIn() {
  const auth = useAuth();
  const [problem, setProblem] = useState("");
  // An app with a second step shows its form where `next` says so, and calls auth.verifyCode.
  const submit = (words) => auth.signIn(Object.fromEntries(words)).catch((error) => setProblem(error.message));
  return (
    <form action={submit}>
      <label>Email <input name="email" type="email" autoComplete="username" required /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
      <button>Sign in</button>
      <p role="alert">{problem}</p>
    </form>
  );
}

function Notes({ user }) {
  const auth = useAuth();
  const [notes, setNotes] = useState([]);
  const [problem, setProblem] = useState("");

  // As fetch, signed in: after a 401 it renews and asks again.
  async function ask(options) {
    try {
      const answer = await auth.fetch(`${API}/notes`, options);
      if (!answer.ok) throw new Error(`The server says ${answer.status}.`);
      setNotes(await answer.json());
      setProblem("");
    } catch (error) {
      setProblem(error.message);
    }
  }
  useEffect(() => { ask(); }, []);
  const add = (words) => ask({
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(Object.fromEntries(words)),
  });
  return (
    <main>
      <h1>Notes of {user.email}</h1>
      <form action={add}><label>Note <input name="text" required maxLength={200} /></label> <button>Keep</button></form>
      <ul>{notes.map((note, index) => <li key={index}>{note}</li>)}</ul>
      <button onClick={() => auth.signOut()}>Sign out</button>
      <p role="alert">{problem}</p>
    </main>
  );
}

const auth = createAuth({ baseURL: `${API}/auth`, mode: "hybrid" });
createRoot(document.getElementById("root")).render(<SessionProvider auth={auth}><App /></SessionProvider>);
