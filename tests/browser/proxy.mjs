// What lies between a page and its hub, and what it can do to them: cut lines, let them hang, block sockets, lead to nothing.

import { once } from "node:events";
import { connect, createServer } from "node:net";

const REQUEST = /^[A-Z]+ \/\S* HTTP\/1\.1/;
const UPGRADE = /^upgrade: *websocket/im;

/** `to`: the hub's port, or null where nothing listens. `sockets`: whether WebSockets get through. `heads`: of the requests it passed on. */
export async function startProxy() {
  const lines = new Set();
  const proxy = { to: null, sockets: true, refused: 0, heads: [] };
  const server = createServer((page) => {
    page.on("error", () => {});
    if (proxy.to === null) return page.destroy();
    const line = { page, hub: connect(proxy.to, "127.0.0.1"), hangs: false };
    lines.add(line);
    line.hub.on("error", () => {});
    page.on("data", (chunk) => {
      const [head] = chunk.toString("latin1").split("\r\n\r\n");
      if (REQUEST.test(head)) proxy.heads.push(head);
      if (!proxy.sockets && UPGRADE.test(chunk.toString("latin1"))) refuse(line);
      else if (!line.hangs) line.hub.write(chunk);
    });
    line.hub.on("data", (chunk) => line.hangs || page.write(chunk));
    for (const end of [page, line.hub]) end.on("close", () => line.hangs || drop(line));
  });
  const refuse = (line) => {
    proxy.refused += 1;
    line.hub.destroy();
    line.page.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  };
  const drop = (line) => {
    lines.delete(line);
    line.hub.destroy();
    // What was passed on still arrives.
    line.page.end();
  };
  proxy.cut = () => { for (const line of lines) line.page.destroy(); };
  /** Every line there is stays open and passes nothing on any more. */
  proxy.hang = () => { for (const line of lines) line.hangs = true; };
  proxy.stop = () => {
    for (const line of lines) for (const end of [line.page, line.hub]) end.destroy();
    return new Promise((resolve) => server.close(resolve));
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(proxy, { url: `http://127.0.0.1:${server.address().port}` });
}
