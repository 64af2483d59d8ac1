# An operator's shell that is forgotten ends, and what it runs is not written to disk when it crashes.
TMOUT=900
readonly TMOUT
export TMOUT
ulimit -c 0
