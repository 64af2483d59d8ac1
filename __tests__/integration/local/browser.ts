import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { inBrowser, type OpenBrowser, openBrowser } from "../../chromium";

/** The site in a real browser. */
export function browser(cluster: ScratchCluster): void {
  let browser: OpenBrowser | undefined;

  beforeAll(async () => {
    browser = await openBrowser(["--disable-quic"]);
  });

  afterAll(() => browser?.close());

  async function open() {
    const page = await (browser as OpenBrowser).context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(cluster.url);
    return { page, complaints };
  }

  inBrowser(
    "a visitor signs the guestbook, and sees the entry and the hosts that handled it",
    async () => {
      const { page, complaints } = await open();
      const message = `signed in a browser ${Date.now()}`;
      await page.getByLabel("Name").fill("A visitor");
      await page.getByLabel("Message").fill(message);
      await page.getByRole("button", { name: "Sign the guestbook" }).click();
      const entry = page.getByRole("article").filter({ hasText: message });
      await entry.waitFor();
      const primary = await cluster.inSync();
      expect(await entry.textContent()).toMatch(
        new RegExp(`taken by\\s+web-[12]\\s+written to\\s+${primary}`),
      );
      expect(complaints).toEqual([]);
      await page.close();
    },
  );

  inBrowser("a visitor sees that round robin alternates between the web servers", async () => {
    await cluster.inTurn();
    const { page, complaints } = await open();
    await page.getByRole("button", { name: "Send twelve requests" }).click();
    await page.getByText("All 12 answered.").waitFor();
    const tally = await page.getByLabel("Web server").last().textContent();
    expect(tally?.replaceAll(/\s+/g, "")).toBe("web-16web-26");
    expect(complaints).toEqual([]);
    await page.close();
  });
}
