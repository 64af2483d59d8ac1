import type { HostFolder, Ran } from "./host-folder";

/** Runs the script that gives a load balancer the certificate of visitors. */
export function runVisitorsCertificate(
  host: HostFolder,
  args: readonly string[] = [],
): Promise<Ran> {
  const script = host.bring(
    "load-balancer/visitors-certificate.sh",
    "host/lib.sh",
    "host/certificates.sh",
    "load-balancer/servers.sh",
    "load-balancer/visitors.sh",
    "load-balancer/acme.sh",
  );
  return host.run(script, args);
}
