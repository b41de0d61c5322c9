// The explorer: asks /graphql with the token that was typed in, and shows what came back. No library, no storage.
"use strict";

const FIGURES = `fragment shown on Coverage {
  label
  figures {
    state pupils minutes hours days
    reached { count base percent band }
    atZero { count percent }
    at25Hours { count percent }
    at50Hours { count percent }
    bm5 { percent }
    bm6 { percent }
  }
  standsOn { schools schoolsUnknown rollComplete newestSync attendanceOverdue rounded }
}`;

const EXAMPLES = {
  "Coverage by school": `query BySchool {
  viewer { today rounded organisation { kind name } }
  coverage(by: SCHOOL) {
    totalCount
    total { ...shown }
    edges { node { ...shown school { urn } } }
    pageInfo { hasNextPage endCursor }
  }
}
${FIGURES}`,
  "Coverage by year group": `query ByYearGroup {
  coverage(by: YEAR_GROUP) {
    edges { node { yearGroup ...shown } }
  }
}
${FIGURES}`,
  "By key stage: a week of activity, a week of placement": `query ByKeyStage {
  coverage(by: KEY_STAGE) {
    edges { node { keyStage figures {
      pupils
      at25HoursOfActivity { count base percent }
      at25HoursOfPlacement { count base percent }
    } } }
  }
}`,
  "By kind, this academic year": `query ByKind($year: Int) {
  coverage(by: KIND, academicYear: $year) {
    edges { node { kind figures { minutes hours reached { count base percent } } } }
  }
}`,
  "Schools and their key stages": `query Schools {
  schools(first: 20) {
    totalCount
    edges { node { name urn coverage(by: KEY_STAGE) { edges { node { ...shown } } } } }
    pageInfo { hasNextPage endCursor }
  }
}
${FIGURES}`,
  "Programmes": `query Programmes {
  programmes {
    totalCount
    edges { node { name state startsOn endsOn strands { code name } schools { totalCount } } }
  }
}`,
};

const at = (id) => document.getElementById(id);

function choose() {
  at("query").value = EXAMPLES[at("examples").value];
}

async function signIn(event) {
  event.preventDefault();
  const form = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: at("client").value.trim(),
    client_secret: at("secret").value,
  });
  try {
    // Without "omit" the browser would answer a refusal (WWW-Authenticate: Basic) with a dialogue of its own.
    const response = await fetch("/oauth/token", { method: "POST", body: form, credentials: "omit" });
    const body = await response.json().catch(() => ({}));
    at("secret").value = "";
    if (response.ok) at("token").value = body.access_token;
    tell("signed", response.ok, response.ok
      ? `A token for ${body.expires_in} seconds: ${body.scope ?? ""}`
      : `${response.status}: ${body.error_description ?? body.error ?? response.statusText}`);
  } catch {
    tell("signed", false, "The server cannot be reached.");
  }
}

function tell(id, well, text) {
  at(id).textContent = text;
  at(id).classList.toggle("bad", !well);
}

async function ask() {
  if (at("ask").disabled) return;
  at("errors").replaceChildren();
  at("answer").textContent = "";
  const variables = asked();
  if (variables === undefined) return tell("status", false, "The variables are not a JSON object.");
  at("ask").disabled = true;
  tell("status", true, "Asking…");
  try {
    await answer(variables);
  } catch {
    tell("status", false, "The server cannot be reached.");
  } finally {
    at("ask").disabled = false;
  }
}

// The variables; undefined if they are none.
function asked() {
  try {
    const given = JSON.parse(at("variables").value || "{}");
    return typeof given === "object" && !Array.isArray(given) ? given : undefined;
  } catch {
    return undefined;
  }
}

async function answer(variables) {
  const began = performance.now();
  const headers = { "Accept": "application/graphql-response+json", "Content-Type": "application/json" };
  const token = at("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  const body = JSON.stringify({ query: at("query").value, variables });
  const response = await fetch("/graphql", { method: "POST", headers, body, credentials: "omit" });
  const text = await response.text();
  const sql = response.headers.get("Server-Timing")?.match(/desc="([^"]*)"/)?.[1];
  const spent = `${Math.round(performance.now() - began)} ms`;
  let said;
  try {
    said = JSON.parse(text);
  } catch {
    said = undefined;
  }
  const errors = errorsIn(said);
  tell("status", response.ok && !errors.length, [`${response.status}`, spent, sql].filter(Boolean).join(" · "));
  at("errors").replaceChildren(...errors);
  at("answer").textContent = said === undefined ? text : JSON.stringify(said, null, 2);
}

// What went wrong, a line for each error: a problem (RFC 9457) of the server, or the errors of the document.
function errorsIn(said) {
  if (said?.detail && said?.status) return [line(said.detail, [`${said.status} ${said.code}`])];
  return (said?.errors ?? []).map((error) => line(error.message, [
    error.extensions?.code,
    error.path && `at ${error.path.join(".")}`,
    error.locations?.[0] && `line ${error.locations[0].line}, column ${error.locations[0].column}`,
  ]));
}

function line(text, where) {
  const item = document.createElement("li");
  const small = document.createElement("small");
  small.textContent = where.filter(Boolean).join(" · ");
  item.append(text, small);
  return item;
}

let definitions = [];

function find() {
  const wanted = at("find").value.trim().toLowerCase();
  const hits = wanted ? definitions.filter((one) => one.toLowerCase().includes(wanted)) : definitions;
  tell("found", hits.length > 0, `${hits.length} of ${definitions.length} definitions`);
  at("sdl").replaceChildren(...marked(hits.join("\n\n"), wanted));
  const box = at("sdl");
  const first = box.querySelector("mark");
  box.scrollTop = first ? first.offsetTop - box.offsetTop - box.clientHeight / 3 : 0;
}

// The text, with every place that was looked for marked.
function marked(text, wanted) {
  if (!wanted) return [text];
  const parts = [];
  const lower = text.toLowerCase();
  let from = 0;
  for (let hit = lower.indexOf(wanted); hit >= 0; hit = lower.indexOf(wanted, from)) {
    const mark = document.createElement("mark");
    mark.textContent = text.slice(hit, hit + wanted.length);
    parts.push(text.slice(from, hit), mark);
    from = hit + wanted.length;
  }
  return [...parts, text.slice(from)];
}

async function start() {
  for (const name of Object.keys(EXAMPLES)) at("examples").add(new Option(name));
  choose();
  at("examples").addEventListener("change", choose);
  at("sign-in").addEventListener("submit", signIn);
  at("ask").addEventListener("click", ask);
  at("find").addEventListener("input", find);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask();
  });
  const response = await fetch("/graphql/schema.graphql");
  definitions = (await response.text()).trim().split(/\n\n(?=\S)/);
  find();
}

start().catch(() => tell("found", false, "The schema could not be loaded."));
