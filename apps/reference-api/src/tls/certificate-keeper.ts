import { needsRenewal, renewalTime, type LeafCertificate, type Lifetime } from '@devstack-core/certificates';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { ReferenceApiErrorCode } from '../errors.ts';
import type { Checked } from '../health.ts';
import type { Metrics } from '../http/metrics.ts';
import type { Logger } from '../logger.ts';

/** What a certificate is kept with. */
export interface CertificateKeeperOptions {
  /** Asks for a new one. */
  readonly issue: () => Promise<LeafCertificate>;
  /** The roots that are trusted at this moment; when they change, a new certificate is asked for. */
  readonly roots: () => string;
  /** Presents it from now on. Throws where that cannot be. */
  readonly serve: (leaf: LeafCertificate) => void;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** How often the roots are looked at; a minute unless given. */
  readonly lookEveryMs?: number;
  /** The wait after a first failure, doubled with each further one; a second unless given. */
  readonly retryAfterMs?: number;
}

/**
 * Keeps the certificate of this service: in memory only, renewed before its end. Where that fails the old one stays, and it is tried
 * again, sooner where less time is left.
 */
export class CertificateKeeper implements Checked, Disposable {
  readonly name: string = 'certificate';
  readonly #options: CertificateKeeperOptions;
  readonly #jitter: number = Math.random();
  #served: (Lifetime & { readonly roots: string }) | undefined;
  #failures = 0;
  #isWanted = false;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #hasEnded = false;

  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
  }

  /** Asks for the first one, and goes on until disposed. Resolves after the first try. */
  async start(): Promise<void> {
    await this.#look();
  }

  /** Asks for a new one now, whatever the old one's age. */
  renew(): void {
    this.#isWanted = true;
    void this.#look();
  }

  /** Throws while there is none, or only one that has ended. */
  check(): void {
    if (this.#served !== undefined && this.#served.notAfter.getTime() > Date.now()) return;
    throw new DevstackError({
      code: ReferenceApiErrorCode.certificatePending,
      message:
        this.#served === undefined
          ? 'There is no certificate yet.'
          : 'The certificate has ended, and there is no new one.',
      hint: 'Check that Vault is unsealed, and that the policy of this service allows pki/sign.',
    });
  }

  [Symbol.dispose](): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
  }

  #look(): Promise<void> {
    clearTimeout(this.#timer);
    this.#running ??= this.#renewWhereDue().finally(() => {
      this.#running = undefined;
      if (this.#hasEnded) return;
      this.#timer = setTimeout(() => void this.#look(), this.#isWanted ? 0 : this.#pauseMs());
    });
    return this.#running;
  }

  async #renewWhereDue(): Promise<void> {
    const { issue, logger, metrics, roots, serve } = this.#options;
    const reason = this.#reason();
    if (reason === undefined) return;
    this.#isWanted = false;
    try {
      const trusted = roots();
      const leaf = await issue();
      if (this.#hasEnded) return;
      serve(leaf);
      this.#served = { notBefore: leaf.notBefore, notAfter: leaf.notAfter, issuedAt: new Date(), roots: trusted };
      this.#failures = 0;
      metrics.certificate(leaf.notAfter.getTime() / 1000);
      metrics.renewal(true);
      logger.info({ reason, serial: leaf.serial, notAfter: leaf.notAfter.toISOString() }, 'a certificate is served');
    } catch (error) {
      this.#failures += 1;
      metrics.renewal(false);
      if (this.#hasEnded) return;
      logger.warn(
        {
          reason,
          ...(isDevstackError(error) ? { code: error.code } : {}),
          err: error,
          retryInMs: this.#pauseMs(),
          until: this.#served?.notAfter.toISOString(),
        },
        this.#served === undefined
          ? 'there is no certificate yet'
          : 'the certificate could not be renewed; the old one stays',
      );
    }
  }

  #reason(): 'first' | 'asked' | 'due' | 'roots-changed' | 'again' | undefined {
    if (this.#served === undefined) return 'first';
    if (this.#isWanted) return 'asked';
    if (needsRenewal(this.#served, new Date())) return 'due';
    if (this.#failures > 0) return 'again';
    return this.#rootsNow() === this.#served.roots ? undefined : 'roots-changed';
  }

  /** Where they cannot be read at this moment, nothing is known of a change. */
  #rootsNow(): string | undefined {
    try {
      return this.#options.roots();
    } catch {
      return this.#served?.roots;
    }
  }

  #pauseMs(): number {
    const { lookEveryMs = 60_000, retryAfterMs = 1000 } = this.#options;
    const served = this.#served;
    if (this.#failures > 0) {
      const leftMs = served === undefined ? Infinity : Math.max(0, served.notAfter.getTime() - Date.now());
      const most = served === undefined ? 10_000 : 60_000;
      return Math.max(retryAfterMs, Math.min(retryAfterMs * 2 ** Math.min(this.#failures - 1, 10), most, leftMs / 5));
    }
    if (served === undefined) return retryAfterMs;
    // Services that were started together do not all ask in one moment.
    const windowMs = served.notAfter.getTime() - renewalTime(served).getTime();
    const dueAt = renewalTime(served).getTime() + (this.#jitter * windowMs) / 10;
    return Math.max(100, Math.min(lookEveryMs, dueAt - Date.now()));
  }
}
