/**
 * Writes variables as an env file that both a shell and systemd's EnvironmentFile= read alike:
 * single quotes, in which neither expands anything.
 *
 * @throws Error when a name or a value cannot be written that way
 */
export function envFile(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => {
      if (!/^[A-Z][A-Z0-9_]*$/.test(name)) {
        throw new Error(`"${name}" is not the name of an environment variable`);
      }
      if (/['\\\n]/.test(value)) {
        throw new Error(
          `${name} holds a quote, a backslash or a line break, which an env file cannot`,
        );
      }
      return `${name}='${value}'\n`;
    })
    .join("");
}
