/** The Vault policy of a role: the same name, as the policy files are named. */
export function policyNameFor(role: string): string {
  return role;
}
