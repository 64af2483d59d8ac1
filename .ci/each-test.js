/**
 * A reporter for jest that prints a line for each test once it is over. Jest's own wait for the end of a file,
 * and some of ours take ten minutes.
 */
module.exports = class EachTest {
  onTestCaseResult(_file, { status, fullName, duration }) {
    const mark = { passed: "✓", failed: "✕" }[status] ?? "○";
    process.stderr.write(`  ${mark} ${fullName} (${Math.round((duration ?? 0) / 1000)} s)\n`);
  }
};
