// Runs a Lambda function's handler in Node. The local cloud starts this file as a process.
// Argument: the mark that ends an invocation's output. The rest comes from the environment, as on AWS.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and
// https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const [mark] = process.argv.slice(2);
const [authority, prefix] = process.env.AWS_LAMBDA_RUNTIME_API.split("/");
const [hostname, port] = authority.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let requestId = "";

function call(method, where, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { method, hostname, port, agent, path: `/${prefix}/2018-06-01/runtime/${where}` };
    options.headers = body === undefined ? headers : { ...headers, "Content-Length": Buffer.byteLength(body) };
    const request = http.request(options, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => resolve([answer.headers, Buffer.concat(chunks).toString()]));
    });
    request.on("error", reject);
    request.end(body);
  });
}

// Written at once: what a process writes to a pipe through its streams is lost when it exits.
function write(text) {
  let bytes = Buffer.from(text);
  while (bytes.length) {
    try {
      bytes = bytes.subarray(fs.writeSync(1, bytes));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

const levels = { log: "INFO", info: "INFO", debug: "DEBUG", trace: "TRACE", warn: "WARN", error: "ERROR" };
for (const [name, level] of Object.entries(levels)) {
  console[name] = (...words) => {
    const message = format(...words).replaceAll("\n", "\r");
    write(`${new Date().toISOString()}\t${requestId || "undefined"}\t${level}\t${message}\n`);
  };
}

function failure(error) {
  if (error instanceof Error) {
    return { errorType: error.name, errorMessage: error.message, trace: String(error.stack).split("\n") };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

async function fail(where, told, title) {
  write(`${new Date().toISOString()}\t${requestId || "undefined"}\tERROR\t${title} \t${JSON.stringify(told)}\n`);
  write(`${mark}\n`);
  const headers = { "Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": told.errorType };
  await call("POST", where, JSON.stringify(told), headers);
}

class Refused extends Error {
  constructor(type, message) {
    super(message);
    this.name = type;
  }
}

async function load(name) {
  const root = process.env.LAMBDA_TASK_ROOT;
  const base = path.basename(name);
  const dot = base.indexOf(".");
  if (dot < 1 || dot === base.length - 1) throw new Refused("Runtime.MalformedHandlerName", "Bad handler");
  const module = path.join(path.dirname(name), base.slice(0, dot));
  const file = [".js", ".mjs", ".cjs"].map((end) => path.resolve(root, module + end)).find((each) => fs.existsSync(each));
  if (file === undefined) {
    throw new Refused("Runtime.ImportModuleError", `Error: Cannot find module '${module}'`);
  }
  let loaded;
  try {
    if (file.endsWith(".mjs")) loaded = await import(pathToFileURL(file));
    else loaded = await import(pathToFileURL(file)).then((found) => found.default && !isModule(file) ? found.default : found);
  } catch (error) {
    if (error instanceof SyntaxError) throw new Refused("Runtime.UserCodeSyntaxError", `SyntaxError: ${error.message}`);
    if (error.code === "ERR_MODULE_NOT_FOUND" || error.code === "MODULE_NOT_FOUND") {
      throw new Refused("Runtime.ImportModuleError", `Error: ${error.message}`);
    }
    throw error;
  }
  let handler = loaded;
  for (const part of base.slice(dot + 1).split(".")) handler = handler?.[part];
  if (handler === undefined) throw new Refused("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  if (typeof handler !== "function") throw new Refused("Runtime.HandlerNotFound", `${name} is not a function`);
  return handler;
}

function isModule(file) {
  const require = createRequire(file);
  for (let folder = path.dirname(file); folder.startsWith(process.env.LAMBDA_TASK_ROOT); folder = path.dirname(folder)) {
    const described = path.join(folder, "package.json");
    if (fs.existsSync(described)) return require(described).type === "module";
  }
  return false;
}

function contextOf(headers, done) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  return {
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
    done,
    succeed: (value) => done(null, value),
    fail: (error) => done(error ?? new Error("failed")),
  };
}

function run(handler, event, headers) {
  return new Promise((resolve, reject) => {
    const done = (error, value) => (error ? reject(error) : resolve(value));
    const answer = handler(event, contextOf(headers, done), done);
    if (typeof answer?.then === "function") answer.then(resolve, reject);
    else if (handler.length < 3 && answer !== undefined) resolve(answer);
  });
}

let pending;
process.on("uncaughtException", (error) => crash("Uncaught Exception", error));
process.on("unhandledRejection", (error) => crash("Unhandled Promise Rejection", error));
async function crash(title, error) {
  const told = { ...failure(error), errorType: error?.name ?? "Runtime.UnhandledPromiseRejection" };
  if (pending) await fail(`invocation/${pending}/error`, told, title);
  process.exit(129);
}

let handler;
try {
  handler = await load(process.env._HANDLER);
} catch (error) {
  await fail("init/error", failure(error), "Uncaught Exception");
  process.exit(1);
}
for (;;) {
  const [headers, event] = await call("GET", "invocation/next");
  pending = requestId = headers["lambda-runtime-aws-request-id"];
  let body;
  try {
    body = JSON.stringify((await run(handler, JSON.parse(event), headers)) ?? null);
  } catch (error) {
    await fail(`invocation/${requestId}/error`, failure(error), "Invoke Error");
    pending = undefined;
    continue;
  }
  write(`${mark}\n`);
  pending = undefined;
  await call("POST", `invocation/${requestId}/response`, body, { "Content-Type": "application/json" });
}
