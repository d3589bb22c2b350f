public import ArgumentParser
internal import MartletPeerFlags

/// The groups of flags of one program, or of one of its commands, that variables and the configuration file set too.
public struct SettingGroups {
    /// The program, as it is called.
    public var program: String
    let groups: [(type: any ParsableArguments.Type, settings: [Setting])]

    /// The groups of `program`.
    public init(_ program: String, _ groups: [any ParsableArguments.Type]) {
        self.program = program
        self.groups = groups.map { ($0, Setting.declared(by: $0)) }
    }

    /// Those of `martletd`.
    public static var daemon: SettingGroups {
        SettingGroups("martletd", [DaemonOptions.self, NodeOptions.self, PeerOptions.self])
    }
    /// Those of `martlet-gateway`.
    public static var gateway: SettingGroups {
        SettingGroups("martlet-gateway", [DaemonOptions.self, PeerOptions.self])
    }
    /// Those of `martlet init`.
    public static var beginning: SettingGroups {
        SettingGroups("martlet init", [DataOptions.self, MachineOptions.self, ClusterOptions.self])
    }
    /// Those of `martlet join`.
    public static var joining: SettingGroups { SettingGroups("martlet join", [DataOptions.self, MachineOptions.self]) }
    /// Those of the commands of `martlet` that look at this machine's state.
    public static var local: SettingGroups { SettingGroups("martlet", [DataOptions.self]) }
    /// All that the configuration file may say.
    public static var all: [SettingGroups] { [.daemon, .gateway, .beginning, .joining] }

    /// All settings, in the order of the help.
    public var settings: [Setting] { groups.flatMap(\.settings) }

    /// The setting of a name.
    func setting(_ name: String) -> Setting? { settings.first { $0.name == name } }

    /// Why a value is not good for a setting, in the words of its flag; nil when it is.
    func refusal(of values: [String], for name: String) -> String? {
        for (type, settings) in groups {
            guard let setting = settings.first(where: { $0.name == name }) else { continue }
            // As many words as the flag would get, tried alone: what contradicts another flag is the command's to say.
            let refusals = values.compactMap { value in Self.refusal(of: setting.arguments([value]), by: type) }
            if let first = refusals.first { return first }
        }
        return nil
    }

    private static func refusal<Group: ParsableArguments>(of words: [String], by group: Group.Type) -> String? {
        do {
            _ = try group.parse(words)
            return nil
        } catch { return group.message(for: error) }
    }
}
