// Checks the workflows in this folder against n8n's own descriptions of its nodes, and runs their code on a request.
//
//     npm pack n8n-nodes-base && tar xzf n8n-nodes-base-*.tgz
//     node examples/n8n/check.mjs package
//
// The argument is the unpacked package. Without it, only the code and the connections are checked.

import { existsSync, readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

const WORKFLOWS = ["sync.json", "callback.json"];
const CALLBACK = { url: "https://bots.example.com/callback/0193/Zx", expires_at: "2026-11-29T02:00:50Z" };
const count = { passed: 0, failed: 0, skipped: 0 };

function report(file, what, errors) {
  count[errors.length ? "failed" : "passed"] += 1;
  console.log(errors.length ? `FAILED  ${file}: ${what}:\n  ${errors.join("\n  ")}` : `ok      ${file}: ${what}`);
}

/** Whether a condition in `displayOptions` admits `value`: a value, or a comparison such as `{_cnd: {gte: 2}}`. */
function admits(condition, value) {
  if (typeof condition !== "object" || condition === null) return condition === value;
  const [[operator, bound]] = Object.entries(condition._cnd);
  const compare = { eq: value === bound, not: value !== bound, gte: value >= bound, lte: value <= bound, gt: value > bound, lt: value < bound };
  if (!(operator in compare)) throw new Error(`unknown operator ${operator} in displayOptions`);
  return compare[operator];
}

/** Whether n8n shows `property` for these parameters. `scope`: `{node, properties, given}` of the level of the property. */
function isShown(property, scope) {
  const holds = ([name, conditions]) => {
    const value = name === "@version" ? scope.node.typeVersion : valueOf(name, scope);
    return conditions.some((condition) => admits(condition, value));
  };
  const { show = {}, hide = {} } = property.displayOptions ?? {};
  return Object.entries(show).every(holds) && !Object.entries(hide).some(holds);
}

/** The value of a parameter, or its default. A name that begins with `/` is one of the node, not of this level. */
function valueOf(name, scope) {
  if (name.startsWith("/")) return valueOf(name.slice(1), { ...scope, properties: scope.root.properties, given: scope.root.given });
  return scope.given[name] ?? scope.properties.find((property) => property.name === name)?.default;
}

/** What is wrong with the parameters at one level, and below it. */
function errorsIn(scope, path) {
  return Object.entries(scope.given).flatMap(([name, value]) => {
    const here = `${path}.${name}`;
    const property = scope.properties.find((property) => property.name === name && isShown(property, scope));
    if (!property) return [`${here} is unknown, or not shown with these parameters`];
    if (typeof value === "string" && value.startsWith("=")) return [];
    if (property.type === "options" && !property.options.some((option) => option.value === value))
      return [`${here} is ${JSON.stringify(value)} (expected one of: ${property.options.map((option) => option.value).join(", ")})`];
    if (property.type === "collection") return errorsIn({ ...scope, properties: property.options, given: value }, here);
    if (property.type === "fixedCollection")
      return Object.entries(value).flatMap(([group, given]) => {
        const properties = property.options.find((option) => option.name === group)?.values;
        return properties ? errorsIn({ ...scope, properties, given }, `${here}.${group}`) : [`${here}.${group} is unknown`];
      });
    const expected = { boolean: "boolean", number: "number", string: "string", json: "string" }[property.type];
    return expected && typeof value !== expected ? [`${here} is not a ${expected}`] : [];
  });
}

function nodeErrors(node, descriptions) {
  const name = node.type.replace("n8n-nodes-base.", "");
  const description = descriptions.find((one) => one.name === name && [one.version].flat().includes(node.typeVersion));
  if (!description) return [`there is no version ${node.typeVersion} of ${node.type}`];
  const root = { properties: description.properties, given: node.parameters };
  return errorsIn({ ...root, node, root }, node.name);
}

/** Connections, and expressions that name a node. */
function referenceErrors(workflow) {
  const names = new Set(workflow.nodes.map((node) => node.name));
  const targets = Object.values(workflow.connections).flatMap(({ main }) => main.flat().map((link) => link.node));
  const inExpressions = [...JSON.stringify(workflow.nodes).matchAll(/\$\('([^']+)'\)/g)].map((match) => match[1]);
  const unknown = [...Object.keys(workflow.connections), ...targets, ...inExpressions].filter((name) => !names.has(name));
  const alone = [...names].filter((name) => name !== "Webhook" && !targets.includes(name));
  const isUnique = new Set(workflow.nodes.map((node) => node.id)).size === workflow.nodes.length;
  const waits = workflow.nodes.some((node) => node.parameters.responseMode === "responseNode");
  const responds = workflow.nodes.some((node) => node.type === "n8n-nodes-base.respondToWebhook");
  return [
    ...unknown.map((name) => `there is no node "${name}"`),
    ...alone.map((name) => `nothing leads to "${name}"`),
    ...(isUnique ? [] : ["two nodes have the same id"]),
    ...(waits === responds ? [] : ["`responseNode` needs a Respond to Webhook node, and that node needs `responseNode`"]),
  ];
}

/** What the node `Answer` returns for a request of this type. */
function run(workflow, type) {
  const { jsCode } = workflow.nodes.find((node) => node.name === "Answer").parameters;
  const body = { type, data: { attempt: 1, input: { message: "héllo" }, callback: CALLBACK } };
  return new Function("$input", jsCode)({ first: () => ({ json: { body } }) });
}

function codeErrors(file, workflow) {
  try {
    return answerErrors(file, workflow);
  } catch (error) {
    return [`it fails: ${error.message}`];
  }
}

function answerErrors(file, workflow) {
  const asked = run(workflow, "widget_request").map(({ json }) => (file === "sync.json" ? json : json.completion));
  const expected = [{ data: { reply: "You wrote: héllo" } }];
  const errors = isDeepStrictEqual(asked, expected) ? [] : [`a request gives ${JSON.stringify(asked)}`];
  const ping = run(workflow, "ping");
  const pong = file === "sync.json" ? [{ json: { data: { reply: "pong" } } }] : [];
  return isDeepStrictEqual(ping, pong) ? errors : [...errors, `a ping gives ${JSON.stringify(ping)}`];
}

const folder = process.argv[2];
const source = folder && `${folder}/dist/types/nodes.json`;
if (source && !existsSync(source)) {
  console.error(`${source} does not exist: the argument must be the unpacked npm package n8n-nodes-base`);
  process.exit(2);
}
const descriptions = source && JSON.parse(readFileSync(source, "utf8"));
for (const file of WORKFLOWS) {
  const workflow = JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8"));
  report(file, "its connections and expressions name nodes that exist", referenceErrors(workflow));
  report(file, "its code answers a request and a ping", codeErrors(file, workflow));
  if (descriptions) {
    for (const node of workflow.nodes) report(file, `n8n knows the parameters of "${node.name}"`, nodeErrors(node, descriptions));
  } else {
    count.skipped += 1;
    console.log(`SKIPPED ${file}: NOT CHECKED against n8n, because the path of the unpacked n8n-nodes-base is missing`);
  }
}
console.log(Object.entries(count).map(([what, number]) => `${number} ${what}`).join(", "));
process.exit(count.failed ? 1 : 0);
