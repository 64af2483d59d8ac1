import { problemOfCommand } from "../../topology/command";

test.each([
  "/usr/bin/node server.js",
  "/usr/bin/node  --max-old-space-size=200 main.js",
  "/usr/bin/python3 -m http.server 8000 --bind 127.0.0.1",
  "/usr/bin/env TZ=UTC /usr/bin/node main.js",
  "/srv/app/current/app/.venv/bin/python -m gunicorn shop.wsgi:application --workers=2",
  "/srv/app/current/app/node_modules/.bin/next start",
  "/usr/bin/node main.js --colour=#fff --home=http://example.com/~user --share=50%",
])("%s is one command", (command) => {
  expect(problemOfCommand(command)).toBeUndefined();
});

describe("what /bin/sh would make something else of is refused, with its reason and the way out", () => {
  test.each<[string, string]>([
    ["/usr/bin/npm run build && /usr/bin/node main.js", "&& would make it two commands"],
    ["/usr/bin/node a.js || /usr/bin/node b.js", "|| would make it two commands"],
    ["/usr/bin/node a.js; /usr/bin/node b.js", "; would make it two commands"],
    ["/usr/bin/node main.js | /usr/bin/tee log", "| would make it a pipe"],
    ["/usr/bin/node main.js &", "& would run it in the background"],
    ["/usr/bin/node main.js > /tmp/log", "< and > would redirect"],
    ["/usr/bin/node main.js 2>&1", "< and > would redirect"],
    ["/usr/bin/node main.js |& /usr/bin/tee log", "| would make it a pipe"],
    ["/usr/bin/node main.js &>/tmp/log", "< and > would redirect"],
    ["/usr/bin/node main.js >|/tmp/log", "< and > would redirect"],
    ["/usr/bin/node main.js <<<text", "< and > would redirect"],
    ["/usr/bin/node <(/usr/bin/cat name)", "< and > would redirect"],
    ["/usr/bin/node (cat name)", "( ) would run a subshell"],
    ["/usr/bin/node main.js & disown", "& would run it in the background"],
    ["PORT+=1 /usr/bin/node main.js", "set the app's variables in app.environment"],
    ["env PORT=1 /usr/bin/node main.js", '"env" is not an absolute path'],
    ["/usr/bin/node main.js </dev/null", "< and > would redirect"],
    ["/usr/bin/node `cat name`", "` and $( ) would run another command"],
    ["/usr/bin/node $(cat name)", "` and $( ) would run another command"],
    ["/usr/bin/node main.js --port $PORT", "$ would expand a variable"],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's
    ["/usr/bin/node main.js --port ${PORT}", "$ would expand a variable"],
    ["(/usr/bin/node main.js)", "( ) would run a subshell"],
    ["/bin/sh -c 'node main.js'", "quotes are not supported"],
    ['/bin/sh -c "node main.js"', "quotes are not supported"],
    ["/usr/bin/node my\\ app.js", "a backslash would escape"],
    ["/usr/bin/node *.js", "would expand to file names"],
    ["/usr/bin/node main.j?", "would expand to file names"],
    ["/usr/bin/node [ab].js", "would expand to file names"],
    ["/usr/bin/node {a,b}.js", "{ } would be expanded"],
    ["/usr/bin/node ~/main.js", "~ would expand to a home folder"],
    ["/usr/bin/node main.js --at=~/x", "~ would expand to a home folder"],
    ["/usr/bin/node main.js # the app", "# would start a comment"],
    ["/usr/bin/node a.js\n/usr/bin/node b.js", "a line break"],
    ["/usr/bin/node a.js\r", "a line break or another invisible character"],
    ["NODE_ENV=test /usr/bin/node main.js", "set the app's variables in app.environment"],
    ["node main.js", '"node" is not an absolute path'],
    ["./start.sh", '"./start.sh" is not an absolute path'],
    ["bin/start", '"bin/start" is not an absolute path'],
    ["exec /usr/bin/node main.js", '"exec" is not an absolute path'],
    ["cd web", '"cd" is not an absolute path'],
    ["! /usr/bin/node main.js", '"!" is not an absolute path'],
    ["/usr/bin/", '"/usr/bin/" is a folder'],
    ["", "it is empty"],
    ["   ", "it is empty"],
  ])("%j", (command, reason) => {
    const problem = problemOfCommand(command);
    expect(problem).toContain(reason);
    expect(problem).toContain("put a script into the app's folder");
  });

  test("every reason at once", () => {
    const problem = problemOfCommand("cd web && A=1 node main.js | tee log");
    for (const reason of ["&& would", "| would", '"cd" is not']) {
      expect(problem).toContain(reason);
    }
  });
});
