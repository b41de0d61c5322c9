// The docs page: hands the contract to Swagger UI. What is authorised stays in memory and goes with the tab.
"use strict";

const KEY = "Idempotency-Key";
let exampleKeys = new Set();

function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));  // randomUUID is for secure contexts only
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}

// The key in the contract is an example: pressing Execute twice must not replay an answer to something else.
// Without "omit" the browser would answer a refused secret (WWW-Authenticate: Basic) with a dialogue of its own.
function prepared(request) {
  if (exampleKeys.has(request.headers?.[KEY])) request.headers[KEY] = freshKey();
  request.credentials = "omit";
  return request;
}

function examplesOf(contract) {
  const operations = Object.values(contract.paths).flatMap((path) => Object.values(path));
  const parameters = operations.flatMap((operation) => operation.parameters ?? []);
  return new Set(parameters.filter((one) => one.name === KEY).map((one) => one.example));
}

async function start() {
  const response = await fetch("/docs/openapi.json");
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const spec = await response.json();
  exampleKeys = examplesOf(spec);
  SwaggerUIBundle({
    spec,
    dom_id: "#swagger-ui",
    deepLinking: true,
    defaultModelsExpandDepth: -1,
    displayRequestDuration: true,
    docExpansion: "list",
    filter: true,
    persistAuthorization: false,
    presets: [SwaggerUIBundle.presets.apis],
    requestInterceptor: prepared,
    validatorUrl: null,
    onComplete: () => document.getElementById("state").remove(),
  });
}

start().catch((error) => {
  document.getElementById("state").textContent = `The contract could not be loaded: ${error.message}.`;
});
