using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Understudy.Blocks;
using Understudy.Replication.Security;
using Understudy.Testing;

namespace Understudy.Replication.Tests.Security;

/// <summary>Real TLS over loopback with authorities made for the test.</summary>
public sealed class MutualTlsTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly Guid _sourceAgent = Guid.NewGuid();
    private readonly Guid _targetAgent = Guid.NewGuid();
    private readonly ManualTime _time = new() { Start = Now };
    private readonly X509Certificate2 _root = Authority("vault");
    private readonly X509Certificate2 _otherRoot = Authority("another vault");
    private readonly List<IDisposable> _made = [];

    public void Dispose()
    {
        _root.Dispose();
        _otherRoot.Dispose();
        _made.ForEach(made => made.Dispose());
    }

    [Fact]
    public async Task Two_agents_of_one_vault_prove_who_they_are_over_tls_13()
    {
        (AuthenticatedConnection source, AuthenticatedConnection target) = await ConnectAsync(
            Identity(_root, _sourceAgent), Identity(_root, _targetAgent), _targetAgent);
        await using (source)
        await using (target)
        {
            Assert.Equal((_targetAgent, _sourceAgent), (source.AgentId, target.AgentId));
            SslStream tls = Assert.IsType<SslStream>(source.Stream);
            Assert.Equal(SslProtocols.Tls13, tls.SslProtocol);
            Assert.Equal(MutualTls.Alpn, tls.NegotiatedApplicationProtocol.ToString());

            await source.Stream.WriteAsync("hello"u8.ToArray());
            byte[] heard = new byte[5];
            await target.Stream.ReadExactlyAsync(heard);
            Assert.Equal("hello"u8.ToArray(), heard);
        }
    }

    [Fact]
    public async Task Source_signed_by_another_authority_is_refused() =>
        await TargetRefusesAsync(ClientOf(Identity(_otherRoot, _sourceAgent) with { Roots = [_root] }));

    [Fact]
    public async Task Source_without_a_certificate_is_refused() =>
        await TargetRefusesAsync(options => options.ClientCertificateContext = null);

    [Fact]
    public async Task Source_whose_certificate_names_no_agent_is_refused() =>
        await TargetRefusesAsync(ClientOf(Identity(_root, agent: null)));

    [Fact]
    public async Task Source_that_offers_only_an_older_tls_is_refused() =>
        await TargetRefusesAsync(options => options.EnabledSslProtocols = SslProtocols.Tls12);

    [Fact]
    public async Task Source_that_offers_another_protocol_is_refused() =>
        await TargetRefusesAsync(options => options.ApplicationProtocols = [new SslApplicationProtocol("h2")]);

    [Fact]
    public async Task Source_that_offers_no_protocol_is_refused() =>
        await TargetRefusesAsync(options => options.ApplicationProtocols = null);

    [Fact]
    public async Task Source_whose_certificate_has_expired_is_refused()
    {
        _time.Advance(TimeSpan.FromDays(60));
        await TargetRefusesAsync(_ => { });
    }

    [Fact]
    public async Task Target_signed_by_another_authority_is_refused() =>
        await SourceRefusesAsync(Identity(_otherRoot, _targetAgent) with { Roots = [_root] });

    [Fact]
    public async Task Target_that_is_another_agent_of_the_same_vault_is_refused() =>
        await SourceRefusesAsync(Identity(_root, Guid.NewGuid()));

    [Fact]
    public void Certificate_that_names_two_agents_names_none()
    {
        using X509Certificate2 certificate = Leaf(_root, [Guid.NewGuid(), Guid.NewGuid()]);
        Assert.Null(AgentIdentity.ReadFrom(certificate));
    }

    private async Task TargetRefusesAsync(Action<SslClientAuthenticationOptions> spoil)
    {
        (Stream client, Stream server) = await LoopbackAsync();
        Task<AuthenticatedConnection> accepting = MutualTls.AcceptAsync(server, Identity(_root, _targetAgent), CancellationToken.None);
        TlsIdentity trusting = Identity(_root, _sourceAgent) with { Time = new ManualTime { Start = Now } };
        SslClientAuthenticationOptions options = MutualTls.ClientOptions(trusting, _targetAgent);
        spoil(options);
        await using SslStream tls = new(client);
        try
        {
            await tls.AuthenticateAsClientAsync(options);
        }
        catch (Exception failure) when (failure is AuthenticationException or IOException)
        {
            // In TLS 1.3 the client may be done before the server has judged it; only the server's verdict counts.
        }

        UnderstudyException refused = await Assert.ThrowsAsync<UnderstudyException>(() => accepting);
        Assert.Equal(FaultClass.NeedsOperator, refused.Class);
        Assert.NotNull(refused.Remedy);
    }

    private async Task SourceRefusesAsync(TlsIdentity target)
    {
        (Stream client, Stream server) = await LoopbackAsync();
        Task<AuthenticatedConnection> accepting = MutualTls.AcceptAsync(server, target, CancellationToken.None);
        await Assert.ThrowsAsync<UnderstudyException>(
            () => MutualTls.ConnectAsync(client, Identity(_root, _sourceAgent), _targetAgent, CancellationToken.None));

        // The server may count its handshake as done before it hears of the refusal; then its first read ends.
        try
        {
            await using AuthenticatedConnection accepted = await accepting;
            Assert.Equal(0, await accepted.Stream.ReadAsync(new byte[1]));
        }
        catch (Exception refused) when (refused is UnderstudyException or IOException)
        {
            Assert.NotEmpty(refused.Message);
        }
    }

    private Action<SslClientAuthenticationOptions> ClientOf(TlsIdentity identity) =>
        options => options.ClientCertificateContext = MutualTls.ClientOptions(identity, _targetAgent).ClientCertificateContext;

    private static async Task<(AuthenticatedConnection Source, AuthenticatedConnection Target)> ConnectAsync(
        TlsIdentity source, TlsIdentity target, Guid expected)
    {
        (Stream client, Stream server) = await LoopbackAsync();
        Task<AuthenticatedConnection> accepting = MutualTls.AcceptAsync(server, target, CancellationToken.None);
        AuthenticatedConnection connected = await MutualTls.ConnectAsync(client, source, expected, CancellationToken.None);
        return (connected, await accepting);
    }

    private static async Task<(Stream Client, Stream Server)> LoopbackAsync()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        TcpClient client = new();
        Task<TcpClient> accepting = listener.AcceptTcpClientAsync();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        return (client.GetStream(), (await accepting).GetStream());
    }

    private TlsIdentity Identity(X509Certificate2 root, Guid? agent)
    {
        X509Certificate2 leaf = Leaf(root, agent is { } id ? [id] : []);
        _made.Add(leaf);
        return new TlsIdentity(leaf, [root], _time);
    }

    private static X509Certificate2 Authority(string name)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        return request.CreateSelfSigned(Now.AddDays(-1), Now.AddDays(365));
    }

    private static X509Certificate2 Leaf(X509Certificate2 root, Guid[] agents)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=agent", key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder names = new();
        names.AddDnsName("host.example");
        foreach (Guid agent in agents)
        {
            names.AddUri(AgentIdentity.UriOf(agent));
        }

        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 signed = request.Create(root, Now.AddDays(-1), Now.AddDays(30), Guid.NewGuid().ToByteArray());
        return signed.CopyWithPrivateKey(key);
    }
}
