using System.Net;
using System.Net.Sockets;
using System.Text;
using Understudy.Api.Dialling;

namespace Understudy.Tests.Agent;

/// <summary>How an agent dials, be it the vault or another agent (REG-3): straight, or through an HTTP CONNECT proxy.</summary>
public sealed class DiallerTests
{
    private static readonly CancellationToken Ct = CancellationToken.None;

    [Fact]
    public async Task Without_a_proxy_the_other_end_is_dialled()
    {
        using TcpListener listener = Listen();
        await using Stream stream = await Dialler.ConnectAsync("127.0.0.1", PortOf(listener), ProxyChoice.None, Ct);
        using TcpClient accepted = await listener.AcceptTcpClientAsync(Ct);
        await stream.WriteAsync("hello"u8.ToArray(), Ct);
        byte[] heard = new byte[5];
        await accepted.GetStream().ReadExactlyAsync(heard, Ct);
        Assert.Equal("hello"u8.ToArray(), heard);
    }

    [Fact]
    public async Task Through_a_proxy_the_stream_begins_behind_its_answer()
    {
        using TcpListener proxy = Listen();
        Task<string> asked = AnswerAsync(proxy, "HTTP/1.1 200 Connection established\r\nX-Via: here\r\n\r\nfirst bytes of the other end");
        await using Stream stream = await Dialler.ConnectAsync("munich-1.example", 7443, Through(proxy), Ct);
        byte[] heard = new byte[11];
        await stream.ReadExactlyAsync(heard, Ct);
        Assert.Equal("first bytes", Encoding.ASCII.GetString(heard));
        Assert.Equal("CONNECT munich-1.example:7443 HTTP/1.1\r\nHost: munich-1.example:7443\r\n\r\n", await asked);
    }

    [Fact]
    public async Task Proxy_is_shown_name_and_password_and_they_are_in_no_message()
    {
        using TcpListener proxy = Listen();
        Task<string> asked = AnswerAsync(proxy, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        ProxyChoice choice = new(new Uri($"http://me:se%20cret@127.0.0.1:{PortOf(proxy)}"), []);
        IOException refused = await Assert.ThrowsAsync<IOException>(() => Dialler.ConnectAsync("fd00::7", 7443, choice, Ct).AsTask());
        Assert.Contains("407 Proxy Authentication Required", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("cret", refused.Message, StringComparison.Ordinal);
        string request = await asked;
        Assert.Contains("CONNECT [fd00::7]:7443 ", request, StringComparison.Ordinal);
        Assert.Contains($"Proxy-Authorization: Basic {Convert.ToBase64String("me:se cret"u8)}\r\n", request, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("SSH-2.0-server\r\n\r\n")]
    [InlineData("HTTP/1.1 503 Busy\r\n\r\n")]
    [InlineData("")]
    public async Task What_is_no_agreeing_proxy_is_an_error_that_names_it(string answer)
    {
        using TcpListener proxy = Listen();
        Task<string> asked = AnswerAsync(proxy, answer);
        IOException refused = await Assert.ThrowsAsync<IOException>(() => Dialler.ConnectAsync("munich-1", 7443, Through(proxy), Ct).AsTask());
        Assert.Contains($"127.0.0.1:{PortOf(proxy)}", refused.Message, StringComparison.Ordinal);
        await asked;
    }

    [Fact]
    public async Task Answer_without_an_end_is_not_read_for_ever()
    {
        using TcpListener proxy = Listen();
        Task<string> asked = AnswerAsync(proxy, "HTTP/1.1 200 OK\r\n" + new string('x', 20_000));
        await Assert.ThrowsAsync<IOException>(() => Dialler.ConnectAsync("munich-1", 7443, Through(proxy), Ct).AsTask());
        await asked;
    }

    [Theory]
    [InlineData("munich-1", true)]
    [InlineData("MUNICH-1", true)]
    [InlineData("munich-11", false)]
    [InlineData("a.b.lan", true)]
    [InlineData("lan", false)]
    [InlineData("10.1.2.3", true)]
    [InlineData("11.1.2.3", false)]
    [InlineData("192.0.2.7", true)]
    [InlineData("fd00::9", true)]
    [InlineData("localhost", true)]
    [InlineData("127.0.0.9", true)]
    [InlineData("::1", true)]
    public void What_is_excepted_is_dialled_straight(string host, bool straight)
    {
        ProxyChoice choice = new(new Uri("http://proxy:3128"), ["munich-1", ".lan", "10.0.0.0/8", "192.0.2.7", "fd00::/16"]);
        Assert.Equal(straight, choice.For(host) is null);
        Assert.Null(ProxyChoice.None.For(host));
    }

    [Theory]
    [InlineData("")]
    [InlineData("10.0.0.0/40")]
    [InlineData("two words")]
    public void Exception_that_can_except_nothing_is_noticed(string exception) => Assert.NotNull(ProxyChoice.WhyNot(exception));

    private static TcpListener Listen()
    {
        TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return listener;
    }

    private static int PortOf(TcpListener listener) => ((IPEndPoint)listener.LocalEndpoint).Port;

    private static ProxyChoice Through(TcpListener proxy) => new(new Uri($"http://127.0.0.1:{PortOf(proxy)}"), []);

    /// <summary>One connection: its request up to the empty line, then the answer, then the end.</summary>
    private static async Task<string> AnswerAsync(TcpListener proxy, string answer)
    {
        using TcpClient client = await proxy.AcceptTcpClientAsync(Ct);
        StringBuilder request = new();
        byte[] one = new byte[1];
        while (!request.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await client.GetStream().ReadAsync(one, Ct) == 1)
        {
            request.Append((char)one[0]);
        }

        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(answer), Ct);
        return request.ToString();
    }
}
