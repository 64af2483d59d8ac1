/** What `app.command` accepts, in words. */
export const COMMAND_WANTED =
  'one command, its program by an absolute path, for example "/usr/bin/node server.js"';

const WAY_OUT =
  "If you need a shell, put a script into the app's folder, with #!/bin/sh and the executable bit, and set the command to /srv/app/current/app/<script>";

interface Rule {
  readonly found: RegExp;
  readonly reason: string;
}

// The command is run by `exec` in a script of /bin/sh. Everything that a POSIX shell would interpret in a command line
// (Shell Command Language, 2.2 to 2.10) is refused, longest operators first.
const OPERATORS: readonly Rule[] = [
  { found: /&&/, reason: "&& would make it two commands" },
  { found: /\|\|/, reason: "|| would make it two commands" },
  { found: /;/, reason: "; would make it two commands" },
  { found: /(?<!\|)\|(?!\|)/, reason: "| would make it a pipeline" },
  {
    found: /(?<![&<>])&(?![&>])/,
    reason: "& would run it in the background, and the app would appear to have exited",
  },
  {
    found: /[<>]/,
    reason: "< and > would redirect its output, which belongs in the journal",
  },
  { found: /`|\$\(/, reason: "` and $( ) would run another command" },
  { found: /\$(?!\()/, reason: "$ would expand a variable, and variables are not available here" },
  { found: /(?<!\$)\(|(?<!\$\([^)]*)\)/, reason: "( ) would run a subshell" },
  { found: /['"]/, reason: "quotes are not supported: arguments are separated at every space" },
  { found: /\\/, reason: "a backslash would escape the next character" },
  { found: /[*?[\]]/, reason: "*, ? and [ ] would expand to file names" },
  { found: /[{}]/, reason: "{ } would be expanded by some shells" },
  { found: /(?:^|[\s=:])~/, reason: "~ would expand to a home folder, and the app has none" },
  { found: /(?:^|\s)#/, reason: "# would start a comment" },
];

const ASSIGNMENT = /^[A-Za-z_][A-Za-z0-9_]*\+?=/;

function problemOfProgram(command: string): string | undefined {
  const [program = ""] = command.trim().split(/[ \t]+/);
  if (program === "") {
    return "it is empty";
  }
  if (ASSIGNMENT.test(program)) {
    return `${program.replace(/=.*/s, "=...")} would set a variable: set the app's variables in app.environment`;
  }
  // Only the part before an operator is the program's name.
  const name = program.replace(/[;&|<>()].*/s, "");
  if (!name.startsWith("/")) {
    return `${JSON.stringify(name || program)} is not an absolute path, and PATH is not searched`;
  }
  return name.endsWith("/") ? `${JSON.stringify(name)} is a folder` : undefined;
}

/**
 * Explains why a start command is not a single command, with every reason.
 *
 * @returns a sentence for the message about the setting, or `undefined` for a valid command
 */
export function problemOfCommand(command: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it finds
  const invisible = /[\x00-\x08\x0a-\x1f\x7f\u0085\u00a0\u2028\u2029]/.test(command);
  const shell = [
    ...OPERATORS.filter(({ found }) => found.test(command)).map(({ reason }) => reason),
    ...(invisible ? ["it contains a line break or another invisible character"] : []),
  ];
  const program = problemOfProgram(command);
  if (shell.length === 0 && program === undefined) {
    return undefined;
  }
  const reasons = [...shell, ...(program === undefined ? [] : [program])].join("; ");
  return `${COMMAND_WANTED}: ${reasons}. ${WAY_OUT}`;
}
