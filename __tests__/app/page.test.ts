import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ENTRIES_SHOWN, type Entry } from "../../app/guestbook";
import { html } from "../../app/html";
import { type PageContent, renderMessagePage, renderPage } from "../../app/page";

const HOSTILE = `</textarea><script>alert("1")</script>'&`;

const entry: Entry = {
  id: 1,
  name: "Ada",
  message: "hello",
  writtenAt: new Date("2030-01-02T03:04:05Z"),
  webServer: "web-2",
  database: "db-1",
};

const content: PageContent = {
  webServer: "web-1",
  listing: { entries: [entry], database: "db-2", upToDate: true },
  form: { name: "", message: "", requestKey: "0123456789abcdef" },
  problems: [],
};

test("a template escapes everything but what templates made", () => {
  expect(html`<p title="${`"'`}">${"<&>"}${[html`<b>${1}</b>`, undefined, false]}</p>`.text).toBe(
    '<p title="&quot;&#39;">&lt;&amp;&gt;<b>1</b></p>',
  );
});

test("nothing anybody can set becomes markup", () => {
  const page = renderPage({
    webServer: HOSTILE,
    listing: {
      entries: [
        { ...entry, name: HOSTILE, message: HOSTILE, webServer: HOSTILE, database: HOSTILE },
      ],
      database: HOSTILE,
      upToDate: true,
    },
    form: { name: HOSTILE, message: HOSTILE, requestKey: HOSTILE },
    problems: [HOSTILE],
  });
  expect(page).not.toContain('alert("');
  expect(page.match(/<script/g)).toHaveLength(1);
  expect(page.match(/<\/textarea>/g)).toHaveLength(1);
  expect(renderMessagePage(HOSTILE, HOSTILE)).not.toContain('alert("');
});

test("the page works under a policy that allows no inline script or style", () => {
  const page = renderPage(content);
  expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:/i);
});

test("everything the page loads comes from its own static folder, and is there", () => {
  const loaded = [...renderPage(content).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url);
  const files = readdirSync(join(__dirname, "../../app/public"));
  expect(loaded.sort()).toEqual(files.map((name) => `/static/${name}`).sort());
});

test("the page tells who served it and who took each entry", () => {
  const page = renderPage(content);
  for (const name of ["web-1", "db-2", "web-2", "db-1"]) expect(page).toContain(name);
  expect(page).toContain('datetime="2030-01-02T03:04:05.000Z"');
});

test("what was typed stays in the form, a first line break included", () => {
  const page = renderPage({ ...content, form: { ...content.form, message: "\nsecond line" } });
  // A browser drops the first line break after the tag; the one after that is the visitor's.
  expect(page).toContain("required>\n\nsecond line</textarea>");
});

test("a reader is told when the last entry may be missing", () => {
  const stale = { entries: [], database: "db-2", upToDate: false };
  expect(renderPage({ ...content, listing: stale })).toContain("may be missing");
  expect(renderPage(content)).not.toContain("may be missing");
});

test("a full page says that it shows only the newest", () => {
  const entries = Array<Entry>(ENTRIES_SHOWN).fill(entry);
  const page = renderPage({ ...content, listing: { entries, database: "db-2", upToDate: true } });
  expect(page).toContain(`newest ${ENTRIES_SHOWN}`);
});
