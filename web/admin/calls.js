// What the dashboard asks of the hub, one function a call. Shows nothing; a key that is refused is told to `onRefused`.

import { apiKey, getJson, health as readHealth, sendJson } from "../api.js";

let onRefused = () => {};
export const whenRefused = (act) => { onRefused = act; };

const get = (path) => guarded(getJson(path, apiKey()));
const send = (method, path, body) => guarded(sendJson(method, path, body, apiKey()));
const post = (path, body = {}) => send("POST", path, body);

async function guarded(asked) {
  const key = apiKey();
  try {
    return await asked;
  } catch (error) {
    // An answer to a key that was given up meanwhile says nothing of the one in use.
    if (error.status === 401 && key === apiKey()) onRefused(error);
    throw error;
  }
}

/** `?a=1&b=2` of what is set. */
function query(fields) {
  const set = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return set.length ? `?${new URLSearchParams(set)}` : "";
}

const id = encodeURIComponent;

export const health = () => readHealth();
export const stats = () => get("/stats");
export const trends = () => get("/v1/trends");
/** Not guarded: signing in tells itself what became of it. */
export const currentKey = (key) => getJson("/v1/keys/current", key);

export const payments = (fields) => get(`/v1/payments${query(fields)}`);
export const payment = (payment) => get(`/v1/payments/${id(payment)}`);
export const paymentEvents = (payment, after) => get(`/v1/payments/${id(payment)}/events${query({ after, limit: 100 })}`);
export const cancel = (payment) => post(`/v1/payments/${id(payment)}/cancel`);
export const events = (after, limit) => get(`/v1/events${query({ after, limit })}`);

export const transfers = (fields) => get(`/v1/transfers${query(fields)}`);
export const transfer = (transfer) => get(`/v1/transfers/${id(transfer)}`);
export const assign = (transfer, payment) => post(`/v1/transfers/${id(transfer)}/assign`, { payment_id: payment });

export const deliveries = (fields) => get(`/v1/deliveries${query(fields)}`);
export const delivery = (delivery) => get(`/v1/deliveries/${id(delivery)}`);
export const redeliver = (delivery) => post(`/v1/deliveries/${id(delivery)}/redeliver`);

export const endpoints = () => get("/v1/endpoints");
export const endpoint = (endpoint) => get(`/v1/endpoints/${id(endpoint)}`);
export const createEndpoint = (fields) => post("/v1/endpoints", fields);
export const changeEndpoint = (endpoint, fields) => send("PATCH", `/v1/endpoints/${id(endpoint)}`, fields);
export const deleteEndpoint = (endpoint) => send("DELETE", `/v1/endpoints/${id(endpoint)}`);
export const rotate = (endpoint) => post(`/v1/endpoints/${id(endpoint)}/rotate`);
export const test = (endpoint) => post(`/v1/endpoints/${id(endpoint)}/test`);
export const recover = (endpoint, span) => post(`/v1/endpoints/${id(endpoint)}/recover`, span);

export const keys = () => get("/v1/keys");
export const createKey = (fields) => post("/v1/keys", fields);
export const revokeKey = (key) => send("DELETE", `/v1/keys/${id(key)}`);
