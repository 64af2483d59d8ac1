/** What `app.command` accepts, in words. */
export const COMMAND_WANTED =
  'one command, its program by an absolute path, for example "/usr/bin/node server.js"';

const WAY_OUT =
  "What needs a shell goes into a script of the app's folder, with #!/bin/sh and the executable bit, and the command is then /srv/app/current/app/<script>";

interface Rule {
  readonly found: RegExp;
  readonly reason: string;
}

// The command is run by `exec` in a script of /bin/sh. All that POSIX has a shell do with a command line
// before it runs it (Shell Command Language, 2.2 to 2.10) is refused, longest operators first.
const OPERATORS: readonly Rule[] = [
  { found: /&&/, reason: "&& would make it two commands" },
  { found: /\|\|/, reason: "|| would make it two commands" },
  { found: /;/, reason: "; would make it two commands" },
  { found: /(?<!\|)\|(?!\|)/, reason: "| would make it a pipe of two programs" },
  {
    found: /(?<![&<>])&(?![&>])/,
    reason: "& would put it into the background, where it would be taken for an app that has ended",
  },
  {
    found: /[<>]/,
    reason: "< and > would redirect, and what the app prints is in the journal already",
  },
  { found: /`|\$\(/, reason: "` and $( ) would run another command" },
  { found: /\$(?!\()/, reason: "$ would put in a variable, and no shell of yours is asked" },
  { found: /(?<!\$)\(|(?<!\$\([^)]*)\)/, reason: "( ) would run a subshell" },
  { found: /['"]/, reason: "quotes are not taken: words end at each space" },
  { found: /\\/, reason: "a backslash would quote what follows it" },
  { found: /[*?[\]]/, reason: "*, ? and [ ] would stand for the names of files" },
  { found: /[{}]/, reason: "{ } would be expanded by some shells" },
  { found: /(?:^|[\s=:])~/, reason: "~ would stand for a home folder, and the app has none" },
  { found: /(?:^|\s)#/, reason: "# would begin a comment" },
];

const ASSIGNMENT = /^[A-Za-z_][A-Za-z0-9_]*\+?=/;

function problemOfProgram(command: string): string | undefined {
  const [program = ""] = command.trim().split(/[ \t]+/);
  if (program === "") {
    return "it is empty";
  }
  if (ASSIGNMENT.test(program)) {
    return `${program.replace(/=.*/s, "=...")} would set a variable: variables of the app stand in app.environment`;
  }
  // What an operator left of a word is no program's name to complain of.
  const name = program.replace(/[;&|<>()].*/s, "");
  if (!name.startsWith("/")) {
    return `${JSON.stringify(name || program)} is not an absolute path, and nothing is looked up`;
  }
  return name.endsWith("/") ? `${JSON.stringify(name)} is a folder` : undefined;
}

/**
 * Says why a start command is no single command, each reason with what was found; nothing for one that is.
 *
 * @returns a sentence for the message about the setting, or `undefined`
 */
export function problemOfCommand(command: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const invisible = /[\x00-\x08\x0a-\x1f\x7f\u0085\u00a0\u2028\u2029]/.test(command);
  const shell = [
    ...OPERATORS.filter(({ found }) => found.test(command)).map(({ reason }) => reason),
    ...(invisible ? ["a line break or another invisible character is in it"] : []),
  ];
  const program = problemOfProgram(command);
  if (shell.length === 0 && program === undefined) {
    return undefined;
  }
  const reasons = [...shell, ...(program === undefined ? [] : [program])].join("; ");
  return `${COMMAND_WANTED}: ${reasons}. ${WAY_OUT}`;
}
