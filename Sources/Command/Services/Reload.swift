import Intake
import Logging
import ServiceLifecycle
import UnixSignals

/// Reads at each SIGHUP again what can be read again: the certificate.
///
/// It keeps the signal from ending the process: a terminal that is closed, or a supervisor's reload, sends it to any.
struct Reload: Service {
    private let certificates: TLSCertificates?
    private let logger: Logger
    private let signals: UnixSignalsSequence

    /// From now on SIGHUP no longer ends the process.
    init(certificates: TLSCertificates? = nil, logger: Logger) async {
        self.certificates = certificates
        self.logger = logger
        signals = await UnixSignalsSequence(trapping: .sighup)
    }

    func run() async throws {
        for await _ in signals.cancelOnGracefulShutdown() { reload() }
    }

    private func reload() {
        guard let certificates else { return logger.info("SIGHUP: there is nothing to reload") }
        do {
            try certificates.reload()
            logger.info("Certificate reloaded")
        } catch {
            logger.error("Certificate not reloaded; the one before stays", metadata: ["error": "\(error)"])
        }
    }
}
