const { default: Sequencer } = require("@jest/test-sequencer");

/**
 * Runs the simulations first: each is one file that takes minutes, and jest, which goes by the size of files where it has
 * not seen them run, would have the other processor idle while they run last.
 */
module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    const isLong = ({ path }) => /\/agent\/simulation[^/]*$/.test(path);
    const sorted = super.sort(tests);
    return [...sorted.filter(isLong), ...sorted.filter((test) => !isLong(test))];
  }
};
