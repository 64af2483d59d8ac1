import {
  type DatabasesAnswering,
  ENTRIES_SHOWN,
  type Entry,
  type Listing,
  LONGEST_MESSAGE,
  LONGEST_NAME,
} from "./guestbook";
import { type Html, html } from "./html";

/** Paths of the page's stylesheet and script. */
export const STATIC_PREFIX = "/static/";

/** The form's initial content. */
export interface FormContent {
  readonly name: string;
  readonly message: string;
  /** A hidden field of the form: sending the same form twice stores one entry. */
  readonly requestKey: string;
}

/** What the page shows. */
export interface PageContent {
  readonly webServer: string;
  /** Undefined when the entries could not be read. */
  readonly listing: Listing | undefined;
  readonly form: FormContent;
  /** Why the visitor's request failed: sentences or parts of one. */
  readonly problems: readonly string[];
}

/** Renders the guestbook's page. Whatever visitors wrote is escaped. */
export function renderPage(content: PageContent): string {
  const { listing } = content;
  return layout(
    "Guestbook",
    html`<header class="masthead">
        <h1>Guestbook</h1>
        <p>One page, two web servers, a replicated database. Write something and see who took it.</p>
      </header>
      ${servedBy(content.webServer, listing?.database)}
      <main>
        ${problemList(content.problems)}
        ${form(content.form)}
        ${roundRobin()}
        ${listing === undefined ? undefined : entryList(listing)}
      </main>`,
  );
}

/** Renders an error page. */
export function renderMessagePage(title: string, message: string): string {
  return layout(
    title,
    html`<main class="message">
      <h1>${title}</h1>
      <p>${message}</p>
      <p><a href="/">To the guestbook</a></p>
    </main>`,
  );
}

/** What `/api/whoami` answers, shown by the page's script. */
export interface WhoAmI {
  readonly webServer: string;
  readonly database: DatabasesAnswering;
}

function layout(title: string, body: Html): string {
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title}</title>
    <link rel="icon" href="${STATIC_PREFIX}guestbook.svg" type="image/svg+xml">
    <link rel="stylesheet" href="${STATIC_PREFIX}guestbook.css">
    <script src="${STATIC_PREFIX}guestbook.js" defer></script>
  </head>
  <body>
    ${body}
  </body>
</html>
`.text;
}

function servedBy(webServer: string, database: string | undefined): Html {
  return html`<dl class="served-by" aria-label="Who served this page">
        <div><dt>Web server</dt><dd>${webServer}</dd></div>
        <div><dt>Database read</dt><dd>${database ?? "none answered"}</dd></div>
      </dl>`;
}

function problemList(problems: readonly string[]): Html | undefined {
  if (problems.length === 0) return undefined;
  return html`<section class="problems" role="alert">
          <h2>That did not work</h2>
          <ul>${problems.map((problem) => html`<li>${sentence(problem)}</li>`)}</ul>
        </section>`;
}

function form(content: FormContent): Html {
  return html`<section class="panel">
          <h2>Write an entry</h2>
          <form method="post" action="/entries" accept-charset="utf-8">
            <input type="hidden" name="requestKey" value="${content.requestKey}">
            <label for="name">Name</label>
            <input id="name" name="name" value="${content.name}" maxlength="${LONGEST_NAME}"
              autocomplete="name" required>
            <label for="message">Message</label>
            <textarea id="message" name="message" rows="4" maxlength="${LONGEST_MESSAGE}"
              required>${"\n"}${content.message}</textarea>
            <button type="submit">Sign the guestbook</button>
          </form>
        </section>`;
}

/** Hidden until the script is loaded, without which it does nothing. */
function roundRobin(): Html {
  return html`<section class="panel" id="round-robin" hidden>
          <h2>Watch the round robin</h2>
          <p>Twelve requests, one after the other: who answers?</p>
          <button type="button">Send twelve requests</button>
          <p class="progress" role="status"></p>
          <div class="tallies"></div>
        </section>`;
}

function entryList(listing: Listing): Html {
  const count = listing.entries.length;
  return html`<section aria-labelledby="entries">
          <h2 id="entries">Entries</h2>
          ${
            !listing.upToDate &&
            html`<p class="notice">The database that takes writes cannot be
            reached. An entry you have just written may be missing here.</p>`
          }
          ${count === 0 && html`<p>No entries yet. Yours could be the first.</p>`}
          <ol class="entries">${listing.entries.map(entry)}</ol>
          ${count === ENTRIES_SHOWN && html`<p>These are the newest ${ENTRIES_SHOWN}.</p>`}
        </section>`;
}

function entry(content: Entry): Html {
  const time = content.writtenAt.toISOString();
  return html`
            <li class="entry">
              <article>
                <h3>${content.name}</h3>
                <p class="text">${content.message}</p>
                <footer>
                  <time datetime="${time}">${time.slice(0, 16).replace("T", " ")} UTC</time>
                  <span>taken by <b>${content.webServer}</b></span>
                  <span>written to <b>${content.database}</b></span>
                </footer>
              </article>
            </li>`;
}

function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
