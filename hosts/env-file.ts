/**
 * Formats variables as an env file that a shell and systemd's EnvironmentFile= read identically: in single quotes, where
 * neither expands anything.
 *
 * @throws Error if a name or a value cannot be represented that way
 */
export function envFile(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => {
      if (!/^[A-Z][A-Z0-9_]*$/.test(name)) {
        throw new Error(
          `"${name}" is not a valid name of an environment variable: wanted upper-case letters, digits and underscores`,
        );
      }
      if (/['\\\n]/.test(value)) {
        throw new Error(
          `the value of ${name} contains a single quote, a backslash or a line break, which an env file cannot represent`,
        );
      }
      return `${name}='${value}'\n`;
    })
    .join("");
}
