// One of the two tabs that race on the page of promises: a worker of its own, with no lock and no word to the other.

onmessage = async ({ data: { url, headers, times } }) => {
  const answers = Array.from({ length: times }, async () => {
    const begun = performance.now();
    const answer = await fetch(url, { method: "POST", headers }).catch(() => ({ status: 0 }));
    postMessage({ status: answer.status, took: Math.round(performance.now() - begun) });
  });
  await Promise.all(answers);
  postMessage(null);
};
