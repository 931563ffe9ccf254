export { ServiceInitErrorCode } from './errors.ts';
export {
  lazyServiceInit,
  type PreparedService,
  type SecretVersion,
  type ServiceClient,
  type ServiceInit,
  type ServiceInitContext,
} from './service-init.ts';
export { serviceInitFor, serviceInits } from './service-inits.ts';
export { nameField, parseClients, secretField } from './secret-fields.ts';
export { isApplied, readAppliedVersions, writeAppliedVersions, type AppliedVersions } from './applied-versions.ts';
export {
  readServiceCredentials,
  type LoginMethod,
  type ServiceCredentials,
  type VaultLoginOptions,
} from './vault-login.ts';
export { tlsServers, type TlsReloadContext, type TlsServer } from './tls-servers.ts';
export { caFile, tlsMode, type ServiceTls, type TlsMode } from './tls.ts';
