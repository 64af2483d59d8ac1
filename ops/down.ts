import { localCluster, localClusters, OperatorError } from "./clusters";
import { hasInterface } from "./machine";
import { main } from "./main";
import { runCdktf, runScript } from "./run";

const say = console.log;

async function down(stack = "local"): Promise<void> {
  localCluster(stack);
  await runCdktf("destroy", stack, "--auto-approve");
  say(
    "\nThe cluster is gone, with its data. What stays for the next one: the host image, the storage",
  );
  say("pool, the container engine. To remove that too: npm run down -- --purge");
}

async function purge(): Promise<void> {
  const deployed = localClusters().filter(({ names }) => hasInterface(names.bridge));
  for (const { stack } of deployed) {
    await runCdktf("destroy", stack, "--auto-approve");
  }
  await runScript("purge", [], {});
  say("nothing of local clusters is left on this machine");
}

const [argument, ...rest] = process.argv.slice(2);
void main("down", () => {
  if (rest.length > 0 || (argument?.startsWith("-") && argument !== "--purge")) {
    throw new OperatorError("Usage: npm run down [-- STACK | --purge]");
  }
  return argument === "--purge" ? purge() : down(argument);
});
