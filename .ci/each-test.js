/**
 * A jest reporter that prints a line for each test as soon as it has finished. Jest's own reporters wait for the end of a
 * file, which can take ten minutes here.
 */
module.exports = class EachTest {
  onTestCaseResult(_file, { status, fullName, duration }) {
    const mark = { passed: "✓", failed: "✕" }[status] ?? "○";
    process.stderr.write(`  ${mark} ${fullName} (${Math.round((duration ?? 0) / 1000)} s)\n`);
  }
};
