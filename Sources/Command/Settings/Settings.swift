import Configuration
import Foundation
import Synchronization
import SystemPackage

/// The settings of one command: from its flags, else from the environment, else from a configuration file.
struct Settings {
    private let reader: ConfigReader

    /// - Parameters:
    ///   - flags: What was given on the command line, by key, such as `database.url`.
    ///   - file: A YAML file; `nil` takes the one that HOLDFAST_CONFIG names, if any.
    /// - Throws: ``InvalidSetting`` when the file cannot be read, or something is set that is no setting.
    init(flags: [String: String?], file: String?) async throws {
        let environment = ProcessInfo.processInfo.environment
        try SettingNames.check(environment)
        let given = flags.compactMapValues { $0 }.map { key, text in
            (AbsoluteConfigKey(key.split(separator: ".").map(String.init)), ConfigValue(.string(text), isSecret: false))
        }
        var providers: [any ConfigProvider] = [
            InMemoryProvider(values: Dictionary(uniqueKeysWithValues: given)),
            EnvironmentVariablesProvider().prefixKeys(with: "holdfast"),
        ]
        if let path = file ?? environment["HOLDFAST_CONFIG"] {
            let keys = KeyRecord()
            do {
                // Asked of each key whether it is a secret, it is told what keys there are.
                let options = YAMLSnapshot.ParsingOptions(secretsSpecifier: .dynamic { key, _ in keys.add(key) })
                providers.append(
                    try await FileProvider<YAMLSnapshot>(parsingOptions: options, filePath: FilePath(path))
                )
            } catch {
                throw InvalidSetting("The configuration file \(path) cannot be read: \(error)")
            }
            try SettingNames.check(keys: keys.all, of: path)
        }
        reader = ConfigReader(providers: providers)
    }

    /// A text; `nil` when it is not set.
    ///
    /// - Throws: ``InvalidSetting`` when it has a line break in it; one at its end, as files have it, is taken off.
    func text(_ key: String, isSecret: Bool = false) throws(InvalidSetting) -> String? {
        guard var text = raw(key, isSecret: isSecret) else { return nil }
        if text.last?.isNewline == true { text.removeLast() }
        guard !text.contains(where: \.isNewline) else {
            throw InvalidSetting("\(key) (\(SettingNames.variable(key))) has a line break in it; take it out.")
        }
        return text
    }

    /// A text that must be set.
    func requiredText(_ key: String, flag: String, isSecret: Bool = false) throws(InvalidSetting) -> String {
        guard let text = try text(key, isSecret: isSecret), !text.isEmpty else {
            let variable = SettingNames.variable(key)
            throw InvalidSetting("\(flag) is not set; give it, or set \(variable), or \(key) in a configuration file.")
        }
        return text
    }

    /// A whole number within bounds.
    func integer(
        _ key: String,
        flag: String,
        in range: ClosedRange<Int>,
        default standard: Int
    ) throws(InvalidSetting) -> Int {
        let value: Int?
        if let text = try text(key) {
            value = Int(text)
        } else if let number = reader.int(forKey: ConfigKey(key)) {
            value = number
        } else {
            return standard
        }
        guard let value, range.contains(value) else {
            throw InvalidSetting(
                """
                \(flag) (\(SettingNames.variable(key))) must be a whole number from \(range.lowerBound) to \
                \(range.upperBound).
                """
            )
        }
        return value
    }

    /// - Throws: ``InvalidSetting`` when it is neither `true` nor `false`.
    func boolean(_ key: String, default standard: Bool) throws(InvalidSetting) -> Bool {
        guard let text = try text(key) else { return reader.bool(forKey: ConfigKey(key)) ?? standard }
        guard let value = Bool(text.lowercased()) else {
            throw InvalidSetting("\(key) (\(SettingNames.variable(key))) must be true or false, and is \(text).")
        }
        return value
    }

    /// Texts separated by commas, and line breaks if need be, or a list in a file.
    func list(_ key: String) -> [String]? {
        guard let text = raw(key, isSecret: false) else { return reader.stringArray(forKey: ConfigKey(key)) }
        return text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
            .filter { !$0.isEmpty }
    }

    private func raw(_ key: String, isSecret: Bool) -> String? {
        precondition(SettingNames.all.contains(key), "\(key) is not in the list of settings")
        return reader.string(forKey: ConfigKey(key), isSecret: isSecret)
    }
}

/// The keys that a configuration file has.
private final class KeyRecord: Sendable {
    private let keys = Mutex<Set<String>>([])

    var all: Set<String> { keys.withLock { $0 } }

    /// - Returns: Whether its value must not be shown: of any, to be safe.
    func add(_ key: String) -> Bool {
        keys.withLock { _ = $0.insert(key) }
        return true
    }
}
