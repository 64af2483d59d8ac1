import { setTimeout as pause } from "node:timers/promises";
import type { Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { HostAccess } from "../platform/host-access";
import { act, decide, explain, gather, isPassing, type Request } from "./promotion";

/** Delay before a refusal is checked again. */
const SECOND_LOOK_MS = 1000;
/** How long a refusal that may resolve by itself is checked again. */
const PASSING_MS = 15_000;

/**
 * Makes another database host the primary: gathers, decides, prints what will be done, and does it.
 *
 * @throws OperatorError if it is refused, after the reason has been printed on standard error
 */
export async function changePrimary(
  topology: Topology,
  access: HostAccess,
  request: Request,
  { dryRun }: { readonly dryRun: boolean },
  say: (line: string) => void,
): Promise<void> {
  const started = Date.now();
  let decision = decide(await gather(topology, access), request);
  if (decision.kind === "refuse" && isPassing(decision)) {
    say(`Waiting for up to ${PASSING_MS / 1000} s: ${decision.refusals[0]?.reason}.`);
  }
  while (decision.kind === "refuse") {
    // A host may have been slow to answer once.
    const patience = isPassing(decision) ? PASSING_MS : SECOND_LOOK_MS;
    if (Date.now() - started >= patience) {
      break;
    }
    await pause(SECOND_LOOK_MS);
    decision = decide(await gather(topology, access), request);
  }
  for (const line of explain(decision)) {
    (decision.kind === "refuse" ? console.error : say)(line);
  }
  if (decision.kind === "refuse") {
    throw new OperatorError("Nothing was changed.");
  }
  if (!dryRun) {
    await act(decision, request, access, say);
  }
}
