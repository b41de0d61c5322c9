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
  const response = await fetch("/oauth/token", { method: "POST", body: form });
  const body = await response.json().catch(() => ({}));
  at("secret").value = "";
  if (response.ok) at("token").value = body.access_token;
  at("signed").textContent = response.ok
    ? `Token for ${body.expires_in} s: ${body.scope ?? ""}`
    : `${response.status} ${body.error_description ?? body.error ?? ""}`;
}

async function ask() {
  let variables;
  try {
    variables = JSON.parse(at("variables").value || "{}");
  } catch {
    at("status").textContent = "The variables are not JSON.";
    return;
  }
  const began = performance.now();
  const response = await fetch("/graphql", {
    method: "POST",
    headers: {
      "Accept": "application/graphql-response+json",
      "Authorization": `Bearer ${at("token").value.trim()}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify({ query: at("query").value, variables }),
  });
  const text = await response.text();
  const sql = response.headers.get("Server-Timing")?.match(/desc="([^"]*)"/)?.[1];
  at("status").textContent =
    [`${response.status}`, `${Math.round(performance.now() - began)} ms`, sql].filter(Boolean).join(" · ");
  try {
    at("answer").textContent = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    at("answer").textContent = text;
  }
}

let sdl = "";

function find() {
  const wanted = at("find").value.trim().toLowerCase();
  const blocks = sdl.split(/\n\n(?=\S)/);
  at("sdl").textContent = wanted ? blocks.filter((one) => one.toLowerCase().includes(wanted)).join("\n\n") : sdl;
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
  sdl = await (await fetch("/graphql/schema.graphql")).text();
  find();
}

start();
