import ArgumentParser
import Intake

/// The flags that say who is let in.
struct AccessOptions: ParsableArguments {
    @Flag(
        name: .customLong("require-tokens"),
        help: "Let nobody in without a token, on loopback too. HOLDFAST_INTAKE_ACCESS=tokens, intake.access: tokens."
    )
    var requiresTokens = false

    @Flag(help: "Let anyone in, wherever it listens. HOLDFAST_INTAKE_ACCESS=open, intake.access: open.")
    var insecure = false

    @Option(
        name: .customLong("tls-certificate"),
        help: ArgumentHelp(
            "Speak TLS only, with this certificate and those that vouch for it, in PEM.",
            discussion: "HOLDFAST_INTAKE_TLS_CERTIFICATE, intake.tlsCertificate. SIGHUP reads it again.",
            valueName: "file"
        )
    )
    var tlsCertificate: String?

    @Option(
        name: .customLong("tls-key"),
        help: ArgumentHelp(
            "Its private key, in PEM.",
            discussion: "HOLDFAST_INTAKE_TLS_KEY, intake.tlsKey.",
            valueName: "file"
        )
    )
    var tlsKey: String?

    func validate() throws {
        guard !(requiresTokens && insecure) else {
            throw ValidationError("--require-tokens and --insecure exclude each other.")
        }
    }

    /// What the flags set, by the keys of the configuration.
    var values: [String: String?] {
        [
            "intake.access": requiresTokens ? "tokens" : insecure ? "open" : nil,
            "intake.tlsCertificate": tlsCertificate, "intake.tlsKey": tlsKey,
        ]
    }
}

/// The flags of the intake's limits and deadlines; each has a setting of the same name, such as `intake.bodySeconds`.
struct LimitOptions: ParsableArguments {
    @Option(
        name: .customLong("max-connections"),
        help: """
            How many connections may be open. Beyond, the one that has waited longest for its client makes place; when \
            none waits, the new one is answered 503. Default: 4096.
            """
    )
    var maxConnections: Int?

    @Option(
        name: .customLong("waiting-mb"),
        help: """
            How many MiB of requests may be read, parsed, or wait to be stored or for their clients to take the answer; \
            more is answered 503 at once. Default: 64.
            """
    )
    var waitingMb: Int?

    @Option(
        name: .customLong("head-seconds"),
        help: "How long a new connection has for its first request's head, TLS included. Default: 10."
    )
    var head: Int?

    @Option(name: .customLong("body-seconds"), help: "How long a body may take; then 408. Default: 30.")
    var body: Int?

    @Option(name: .customLong("request-seconds"), help: "How long an answer may take to begin; then 503. Default: 90.")
    var request: Int?

    @Option(name: .customLong("write-seconds"), help: "How long a client may take none of an answer. Default: 30.")
    var write: Int?

    @Option(name: .customLong("idle-seconds"), help: "How long a connection may wait for a next request. Default: 60.")
    var idle: Int?

    @Option(
        name: .customLong("drain-delay-seconds"),
        help: "After SIGTERM, how long it serves on while /readyz says no. Default: 0."
    )
    var drainDelay: Int?

    @Option(
        name: .customLong("drain-seconds"),
        help: "How long running requests may take after that. Default: 20."
    )
    var drain: Int?

    /// What the flags set, by the keys of the configuration.
    var values: [String: String?] {
        [
            "intake.maxConnections": maxConnections, "intake.waitingMb": waitingMb,
            "intake.headSeconds": head, "intake.bodySeconds": body,
            "intake.requestSeconds": request, "intake.writeSeconds": write, "intake.idleSeconds": idle,
            "intake.drainDelaySeconds": drainDelay, "intake.drainSeconds": drain,
        ].mapValues { $0.map(String.init) }
    }
}

extension Settings {
    /// - Throws: ``InvalidSetting`` when it is set to something else.
    func access() throws -> IntakeConfiguration.Access {
        switch try text("intake.access") ?? "auto" {
        case "auto": .automatic
        case "tokens": .tokens
        case "open": .open
        case let other:
            throw InvalidSetting(
                "intake.access (HOLDFAST_INTAKE_ACCESS) must be auto, tokens or open, and is \(other)."
            )
        }
    }

    /// - Throws: ``InvalidSetting`` when only one file is named, or they cannot be used together.
    func certificates() throws -> TLSCertificates? {
        switch try (text("intake.tlsCertificate"), text("intake.tlsKey")) {
        case (nil, nil): return nil
        case (let certificate?, let key?):
            do {
                return try TLSCertificates(certificate: certificate, key: key)
            } catch {
                throw InvalidSetting("--tls-certificate, --tls-key: \(error)")
            }
        default: throw InvalidSetting("--tls-certificate and --tls-key go together; one of them is not set.")
        }
    }

    /// Sets the limits and deadlines that were given.
    func limit(_ configuration: inout IntakeConfiguration) throws {
        configuration.maxConnections = try integer(
            "intake.maxConnections",
            flag: "--max-connections",
            in: 1...1_000_000,
            default: configuration.maxConnections
        )
        configuration.waitingMegabytes = try integer(
            "intake.waitingMb",
            flag: "--waiting-mb",
            in: 1...4096,
            default: configuration.waitingMegabytes
        )
        for (key, flag, path) in [
            ("intake.headSeconds", "--head-seconds", \IntakeConfiguration.headTimeout),
            ("intake.bodySeconds", "--body-seconds", \.bodyTimeout),
            ("intake.requestSeconds", "--request-seconds", \.requestTimeout),
            ("intake.writeSeconds", "--write-seconds", \.writeTimeout),
            ("intake.idleSeconds", "--idle-seconds", \.idleTimeout),
        ] as [(String, String, WritableKeyPath<IntakeConfiguration, Duration>)] {
            configuration[keyPath: path] = try seconds(key, flag, 1...86_400, configuration[keyPath: path])
        }
    }

    /// A time in whole seconds.
    func seconds(_ key: String, _ flag: String, _ range: ClosedRange<Int>, _ standard: Duration) throws -> Duration {
        .seconds(try integer(key, flag: flag, in: range, default: Int(standard.components.seconds)))
    }
}
