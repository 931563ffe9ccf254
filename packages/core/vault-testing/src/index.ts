export { startVault, type AuditEntry, type StartVaultOptions, type VaultContainer } from './start-vault.ts';
export { processesOf } from './processes.ts';
