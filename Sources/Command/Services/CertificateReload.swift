import Intake
import Logging
import ServiceLifecycle
import UnixSignals

/// Reads the certificate again at each SIGHUP.
struct CertificateReload: Service {
    private let certificates: TLSCertificates
    private let logger: Logger
    private let signals: UnixSignalsSequence

    /// From now on SIGHUP no longer ends the process.
    init(certificates: TLSCertificates, logger: Logger) async {
        self.certificates = certificates
        self.logger = logger
        signals = await UnixSignalsSequence(trapping: .sighup)
    }

    func run() async throws {
        for await _ in signals.cancelOnGracefulShutdown() { reload() }
    }

    private func reload() {
        do {
            try certificates.reload()
            logger.info("Certificate reloaded")
        } catch {
            logger.error("Certificate not reloaded; the one before stays", metadata: ["error": "\(error)"])
        }
    }
}
