// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),  // SE-0335
    .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
    .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),  // SE-0461
    .treatAllWarnings(as: .error),  // SE-0480; dependencies are not affected
]

// Another allocator for what is measured and deployed: a tenth more jobs a second. Sanitizers bring their own.
let allocator: [LinkerSetting] = [
    .linkedLibrary("mimalloc", .when(platforms: [.linux], configuration: .release))
]

/// What the browser gets, in `Sources/Intake/Dashboard`.
let dashboard =
    ["failed", "job", "key", "layout", "overview", "search", "timeline"].map { "Templates/\($0).mustache" }
    + [
        "api", "dom", "events", "failed", "feed", "format", "job", "jobs", "key", "legend", "model", "overview", "pan",
        "parts", "plot", "rows", "search", "shell", "timeline", "token",
    ].map { "Scripts/\($0).js" }
    + ["Styles/dashboard.css", "Styles/timeline.css"]

let package = Package(
    name: "holdfast",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "holdfast", targets: ["Command"]),
        .executable(name: "holdfast-bench", targets: ["Bench"]),
        .executable(name: "holdfast-faults", targets: ["Faults"]),
        .library(name: "Holdfast", targets: ["Holdfast", "Worker"]),
        .library(name: "Redlock", targets: ["Redlock"]),
        // Preloaded into lock nodes under test.
        .library(name: "SteppedClock", type: .dynamic, targets: ["CSteppedClock"]),
    ],
    dependencies: [
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift.git", from: "0.2.0"),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(
            url: "https://github.com/apple/swift-configuration.git",
            from: "1.4.0",
            traits: [.defaults, "YAML"]
        ),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-distributed-tracing.git", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-system.git", from: "1.8.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache.git", from: "2.1.1"),
        .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"]), .brew(["libpq"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        .target(
            name: "Postgres",
            dependencies: [
                "CLibPQ",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Redis",
            dependencies: [
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Telemetry",
            dependencies: [
                .product(name: "CoreMetrics", package: "swift-metrics")
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Redlock",
            dependencies: [
                "PlantedBugs",
                "Redis",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Migrations",
            dependencies: ["PlantedBugs"],
            path: "migrations",
            resources: ["0001_queue", "0002_history", "0003_work", "0004_control", "0005_audit", "0006_access"].map {
                .embedInCode("\($0).sql")
            },
            swiftSettings: settings
        ),
        .target(
            name: "Holdfast",
            dependencies: [
                "Migrations",
                "PlantedBugs",
                "Postgres",
                "Redis",
                "Redlock",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Worker",
            dependencies: [
                "Holdfast",
                "PlantedBugs",
                "Postgres",
                "Redis",
                "Redlock",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Intake",
            dependencies: [
                "CZlib",
                "Holdfast",
                "Postgres",
                "Redis",
                "Redlock",
                "Telemetry",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Mustache", package: "swift-mustache"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            resources: [.embedInCode("OpenAPI/openapi.yaml")]
                + dashboard.map { .embedInCode("Dashboard/\($0)") },
            swiftSettings: settings
        ),
        .target(
            name: "LocalStack",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Command",
            dependencies: [
                "Holdfast",
                "Intake",
                "LocalStack",
                "Postgres",
                "Redis",
                "Redlock",
                "Telemetry",
                "Worker",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings,
            linkerSettings: allocator
        ),
        .executableTarget(
            name: "Bench",
            dependencies: [
                "Holdfast",
                "Intake",
                "LocalStack",
                "Postgres",
                "Redis",
                "Redlock",
                "Worker",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Sources/Proof/Bench",
            swiftSettings: settings,
            linkerSettings: allocator
        ),
        .target(
            name: "Randomness",
            path: "Sources/Proof/Randomness",
            swiftSettings: settings
        ),
        .target(
            name: "PlantedBugs",
            path: "Sources/Proof/PlantedBugs",
            swiftSettings: settings
        ),
        .target(
            name: "FaultChecking",
            path: "Sources/Proof/FaultChecking",
            swiftSettings: settings
        ),
        .target(name: "CSteppedClock", path: "Sources/Proof/CSteppedClock"),
        .target(name: "CTaskHook", path: "Sources/Proof/CTaskHook"),
        .target(
            name: "Simulation",
            dependencies: [
                "CTaskHook",
                "FaultChecking",
                "Holdfast",
                "PlantedBugs",
                "Postgres",
                "Randomness",
                "Redis",
                "Redlock",
                "Worker",
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Sources/Proof/Simulation",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Faults",
            dependencies: [
                "FaultChecking",
                "Holdfast",
                "LocalStack",
                "PlantedBugs",
                "Postgres",
                "Randomness",
                "Redis",
                "Redlock",
                "Simulation",
                "Worker",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Sources/Proof/Faults",
            swiftSettings: settings
        ),
        .target(
            name: "TestSupport",
            dependencies: [
                "Holdfast",
                "LocalStack",
                "Postgres",
                "Randomness",
                "Redis",
                "Redlock",
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            path: "Tests/TestSupport",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "HotPath",
            dependencies: [
                "Holdfast",
                "Intake",
                "Postgres",
                "Redis",
                "Redlock",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Proof/HotPath",
            swiftSettings: settings
        ),
        .testTarget(
            name: "CostTests",
            dependencies: [
                "Holdfast",
                "LocalStack",
                "Postgres",
                "Redis",
                "Redlock",
                "TestSupport",
                "Worker",
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Tests/Proof/CostTests",
            swiftSettings: settings
        ),
        .testTarget(
            name: "BenchTests",
            dependencies: ["Bench", "LocalStack", "TestSupport"],
            path: "Tests/Proof/BenchTests",
            swiftSettings: settings
        ),
        .testTarget(
            name: "TelemetryTests",
            dependencies: [
                "Telemetry",
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "LocalStackTests",
            dependencies: ["LocalStack", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "PostgresTests",
            dependencies: [
                "LocalStack",
                "Postgres",
                "TestSupport",
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "Logging", package: "swift-log"),
            ],
            exclude: ["Corpus"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "RedisTests",
            dependencies: [
                "LocalStack",
                "Randomness",
                "Redis",
                "TestSupport",
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            exclude: ["Corpus"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "RedlockTests",
            dependencies: [
                "LocalStack",
                "Redis",
                "Redlock",
                "TestSupport",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HoldfastTests",
            dependencies: [
                .product(name: "InMemoryLogging", package: "swift-log"),
                "Holdfast",
                "LocalStack",
                "Postgres",
                "Randomness",
                "Redis",
                "Redlock",
                "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "IntakeTests",
            dependencies: [
                "Holdfast",
                "Intake",
                "Postgres",
                "Redis",
                "Redlock",
                "TestSupport",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            exclude: ["Corpus"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "WorkerTests",
            dependencies: [
                "Holdfast",
                "LocalStack",
                "Postgres",
                "Randomness",
                "Redis",
                "Redlock",
                "TestSupport",
                "Worker",
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "Holdfast",
                "LocalStack",
                "Postgres",
                "Randomness",
                "Redlock",
                "TestSupport",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            exclude: ["Dashboard", "Deployment", "Schemathesis"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "FaultsTests",
            dependencies: ["FaultChecking", "LocalStack", "TestSupport"],
            path: "Tests/Proof/FaultsTests",
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
