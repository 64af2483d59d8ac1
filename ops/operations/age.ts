/** The seconds from a time, in seconds since 1970, until now. */
export const secondsSince = (time: number) => Math.max(0, Date.now() / 1000 - time);

/** The same in words, for example `5 min` or `12 h`. */
export function age(time: number): string {
  const minutes = Math.round(secondsSince(time) / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
