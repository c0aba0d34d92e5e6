// A request as a line for the shell, with this hub's address.

const LINE_MAX = 48;

export function curl(path, method, operation, body, documents) {
  const parameters = (operation.parameters ?? []).map((one) => documents.resolve(one));
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => {
    const { schema } = parameters.find((one) => one.in === "path" && one.name === name);
    return documents.resolve(schema).examples?.[0] ?? name;
  });
  const endless = path.endsWith("/stream");
  const words = [`curl ${endless ? "-N " : ""}${method === "get" ? "" : `-X ${method.toUpperCase()} `}${quote(location.origin + filled)}`];
  if (operation.security.length > 0) words.push(`-H "authorization: Bearer $${credential(operation)}"`);
  const key = parameters.find((one) => one.in === "header" && one.example && one.name === "Idempotency-Key");
  if (key) words.push(`-H ${quote(`idempotency-key: ${key.example}`)}`);
  if (body !== undefined) words.push("-H 'content-type: application/json'", `-d ${quote(bodyText(body))}`);
  return words.join(" \\\n  ");
}

/** On one line while it fits. */
function bodyText(body) {
  const line = JSON.stringify(body);
  return line.length <= LINE_MAX ? line : JSON.stringify(body, null, 2);
}

/** A checkout page has nothing but the payment's token. */
const credential = ({ security, operationId }) =>
  (operationId === "streamPaymentEvents" && security.some((way) => way.clientToken) ? "CLIENT_TOKEN" : "PAYBELL_KEY");

const quote = (text) => (/^[\w:/.,?=&-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
