// Shows which server answers each of a row of requests. The page works without it.

const REQUESTS = 12;

/** Draws one tally: a bar for each name, with its count. */
function drawTally(title, counts) {
  const list = document.createElement("dl");
  list.className = "tally";
  list.setAttribute("aria-label", title);
  const heading = document.createElement("h3");
  heading.textContent = title;
  for (const [name, count] of [...counts].sort()) {
    const row = document.createElement("div");
    const term = document.createElement("dt");
    term.textContent = name;
    const bar = document.createElement("progress");
    bar.max = REQUESTS;
    bar.value = count;
    bar.setAttribute("aria-hidden", "true");
    const number = document.createElement("dd");
    number.append(bar, String(count));
    row.append(term, number);
    list.append(row);
  }
  const block = document.createElement("div");
  block.append(heading, list);
  return block;
}

function count(counts, name) {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

async function ask() {
  const response = await fetch("/api/whoami", {
    cache: "no-store",
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

async function sendRequests(panel) {
  const progress = panel.querySelector(".progress");
  const tallies = panel.querySelector(".tallies");
  const webServers = new Map();
  const databases = new Map();
  let failed = 0;
  for (let sent = 1; sent <= REQUESTS; sent += 1) {
    try {
      const answer = await ask();
      count(webServers, answer.webServer);
      count(databases, answer.database.read ?? "none");
    } catch {
      failed += 1;
      count(webServers, "no answer");
    }
    tallies.replaceChildren(
      drawTally("Web server", webServers),
      drawTally("Database that serves reads", databases),
    );
  }
  progress.textContent =
    failed === 0 ? `All ${REQUESTS} answered.` : `${failed} of ${REQUESTS} were not answered.`;
}

const panel = document.getElementById("round-robin");
if (panel !== null) {
  panel.hidden = false;
  const button = panel.querySelector("button");
  button.addEventListener("click", async () => {
    button.disabled = true;
    panel.querySelector(".progress").textContent = "Asking…";
    await sendRequests(panel);
    button.disabled = false;
    button.focus();
  });
}
