import { table } from "./markdown";

/** What Lynis suggests about a host that has been answered otherwise, as of version 3.1. */
export interface LynisAnswer {
  /** IDs of Lynis' tests. */
  readonly tests: readonly string[];
  readonly suggests: string;
  readonly answer: string;
}

const NO_LOGIN = "nobody logs in to a host with a password: shells come through the platform";

/** Every suggestion that is left; a test compares the list with what Lynis finds on hosts. */
export const LYNIS_ANSWERS: readonly LynisAnswer[] = [
  {
    tests: ["AUTH-9282", "DEB-0880"],
    suggests: "expiry dates of accounts, and fail2ban",
    answer: NO_LOGIN,
  },
  {
    tests: ["DEB-0810", "DEB-0811", "DEB-0831", "PKGS-7394", "PKGS-7392"],
    suggests: "programs that list bugs, changes and versions of packages",
    answer: "`status` says which hosts have updates, and which need a restart",
  },
  {
    tests: ["PKGS-7388"],
    suggests: "a repository of security updates",
    answer: "Ubuntu has one; Debian testing gets them with all other updates",
  },
  {
    tests: ["PKGS-7346", "PKGS-7410"],
    suggests: "removing old packages and kernels",
    answer: "they are removed when a host is replaced",
  },
  {
    tests: ["BOOT-5122", "BOOT-5180", "KRNL-5788"],
    suggests: "a password of the boot loader, runlevels, a kernel of its own",
    answer:
      "a container has neither, and an instance's console cannot be reached before it has booted",
  },
  {
    tests: ["BOOT-5264"],
    suggests: "sandboxes for services",
    answer:
      "[every service of the cluster](#what-a-program-may-do) has one; those that are left are the distribution's",
  },
  {
    tests: ["FILE-6310"],
    suggests: "`/home`, `/tmp` and `/var` on partitions of their own",
    answer:
      "data has a volume of its own, the journal and each log are bounded, and every service has its own `/tmp`",
  },
  {
    tests: ["FILE-6344", "FILE-6374", "FILE-6430"],
    suggests: "options of mounts, and fewer file systems",
    answer: "each service is in a sandbox with its own view of the file system and of processes",
  },
  {
    tests: ["FILE-7524"],
    suggests: "that only root lists folders of cron",
    answer: "they are the distribution's, and nothing in them is secret",
  },
  {
    tests: ["NAME-4028"],
    suggests: "a DNS domain",
    answer: "hosts know each other by address",
  },
  {
    tests: ["HTTP-6710", "HTTP-6712"],
    suggests: "TLS and an access log of Nginx",
    answer: "both are the load balancer's; web servers answer to it alone",
  },
  {
    tests: ["LOGG-2154", "LOGG-2190"],
    suggests: "logs on another host, and no deleted files in use",
    answer:
      "not yet: each host keeps its own journal. Deleted files are programs that wait for their restart, see `status`",
  },
  {
    tests: ["ACCT-9622", "ACCT-9626", "ACCT-9628"],
    suggests: "accounting of processes, sysstat and auditd",
    answer:
      "an operator's commands are in the platform's own log (on AWS CloudTrail), and the app cannot start anything outside of its sandbox",
  },
  {
    tests: ["FINT-4350", "HRDN-7230", "HRDN-7222"],
    suggests: "programs that look for changed files and for malware, and no compilers",
    answer:
      "only root can change a program, and a host that is in doubt is replaced: nothing on it but the data volume is unique",
  },
  {
    tests: ["TOOL-5002"],
    suggests: "a tool for automation",
    answer: "Terraform and cloud-init, which leave none on the host",
  },
  {
    tests: ["KRNL-6000"],
    suggests: "other settings of the kernel",
    answer:
      "`kernel.modules_disabled`: units load what they need at boot. `unprivileged_bpf_disabled` is 2, which only root can lift",
  },
  {
    tests: ["NETW-3200", "STRG-1846", "USB-1000", "USB-3000"],
    suggests: "that drivers which nothing uses cannot be loaded",
    answer:
      "the kernel loads none on behalf of a service, and nobody plugs devices into an instance",
  },
];

/** The suggestions and their answers, as a table. */
export function lynisTable(): string {
  return table(
    ["Test", "It suggests", "Answer"],
    LYNIS_ANSWERS.map(({ tests, suggests, answer }) => [
      tests.map((test) => `\`${test}\``).join(", "),
      suggests,
      answer,
    ]),
  );
}
