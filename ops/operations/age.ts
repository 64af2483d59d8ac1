/** The seconds from a time, in seconds since 1970, until now. */
export const secondsSince = (time: number) => Math.max(0, Date.now() / 1000 - time);

/** The seconds from now until a time, in seconds since 1970; negative if it has passed. */
export const secondsUntil = (time: number) => time - Date.now() / 1000;

/** The day of a time, in seconds since 1970, for example `2027-02-26`. */
export const dateOf = (time: number) => new Date(time * 1000).toISOString().slice(0, 10);

/** The time since then in words, for example `5 min` or `12 h`. */
export function age(time: number): string {
  const minutes = Math.round(secondsSince(time) / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
