using System.Text.Json.Serialization;

namespace Understudy.Journal;

/// <summary>Who may touch the base image. Only ever moves forward.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<BaseStage>))]
public enum BaseStage
{
    /// <summary>Apply writes it.</summary>
    Open = 0,

    /// <summary>Final, flushed and verified: opened for reading only, by us and by the commit.</summary>
    ReadOnly = 1,

    /// <summary>The guest's own: never opened again by this replica.</summary>
    Released = 2,
}
