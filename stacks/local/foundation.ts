/** What scripts/local/foundation.sh needs to know besides the project; its head says what each is. */
export type FoundationFacts = Readonly<
  Record<
    | "DWI_BRIDGE"
    | "DWI_GATEWAY"
    | "DWI_ROLES"
    | "DWI_SECRETS"
    | "DWI_KEPT_SECRETS"
    | "DWI_BACKUPS"
    | "DWI_SCRIPTS"
    | "DWI_RELEASE",
    string
  >
>;
