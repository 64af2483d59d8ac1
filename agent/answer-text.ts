import type { IncomingMessage } from "node:http";

/**
 * The text of an HTTP answer.
 *
 * @param longest characters that are read at most
 * @throws Error if the answer is longer, or did not come whole
 */
export function answerText(incoming: IncomingMessage, longest: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    incoming.setEncoding("utf8");
    incoming.on("data", (part: string) => {
      text += part;
      if (text.length > longest) {
        incoming.destroy(new Error("the answer is too long"));
      }
    });
    incoming.on("error", reject);
    incoming.on("end", () =>
      incoming.complete ? resolve(text) : reject(new Error("the answer did not come whole")),
    );
  });
}
