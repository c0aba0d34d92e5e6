// TypeScript's compiler, as strict as it gets.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

const TSC = fileURLToPath(new URL("node_modules/typescript/bin/tsc", import.meta.url));
const FLAGS = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022,dom", "--types", ""];

/** What the compiler says of a file; nothing, if it is right. */
export const complaints = (file) => new Promise((resolve, reject) => {
  execFile(process.execPath, [TSC, ...FLAGS, file], (error, stdout, stderr) => {
    if (error && error.code !== 1 && error.code !== 2) reject(error);
    else resolve(stdout + stderr);
  });
});
