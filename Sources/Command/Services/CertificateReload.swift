import Intake
import Logging
import ServiceLifecycle
import UnixSignals

/// Reads the certificate again at each SIGHUP.
struct CertificateReload: Service {
    let certificates: TLSCertificates
    let logger: Logger

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
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
