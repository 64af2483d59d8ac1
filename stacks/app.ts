import { App } from "cdktf/lib/app";

/**
 * What stacks are declared in.
 *
 * Terraform itself checks its version (`required_version` in every stack), and asking it at each
 * synthesis takes longer than much of the rest of it.
 *
 * @param outdir where to write; cdktf's own default when left out
 */
export function makeApp(outdir?: string): App {
  return new App({ outdir, skipValidation: true, stackTraces: false });
}
