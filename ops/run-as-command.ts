import { isForOperator } from "./operator-error";
import { CommandFailed, Interrupted, surviveInterrupts, wasInterrupted } from "./run";

/** Exit code of a program that was interrupted. */
const INTERRUPTED = 130;

/**
 * Runs a command of this project. Errors for the operator are printed without a stack trace, and the exit code is 1.
 * Otherwise the exit code is the number that the command returns, or 0.
 */
export async function runAsCommand(name: string, command: () => Promise<unknown>): Promise<void> {
  surviveInterrupts();
  // Until it has succeeded.
  process.exitCode = 1;
  try {
    const result = await command();
    process.exitCode = typeof result === "number" ? result : 0;
  } catch (error) {
    if (isForOperator(error)) {
      console.error(error.message);
    } else if (!(error instanceof CommandFailed || error instanceof Interrupted)) {
      throw error;
    } else if (!wasInterrupted()) {
      // The failed command has printed the reason.
      console.error(`stopped: ${error.message}`);
    }
  }
  if (wasInterrupted()) {
    const args = process.argv.slice(2);
    const again = [`npm run ${name}`, ...(args.length > 0 ? ["--", ...args] : [])].join(" ");
    console.error(`\ninterrupted; to continue, run the same command again: ${again}`);
    process.exitCode = INTERRUPTED;
  }
}
