using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Understudy.Model;
using Understudy.Vault.Rest;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Security;

/// <summary>Who may ask: users by bearer token, agents by a certificate of the vault's own authority.</summary>
internal static class Authentication
{
    public const string Users = "user";
    public const string Agents = "agent";

    public static void Add(IServiceCollection services)
    {
        services.AddAuthentication(Users)
            .AddScheme<AuthenticationSchemeOptions, UserHandler>(Users, null)
            .AddScheme<AuthenticationSchemeOptions, AgentHandler>(Agents, null);
        services.AddAuthorizationBuilder()
            .SetFallbackPolicy(new AuthorizationPolicyBuilder(Users).RequireAuthenticatedUser().Build())
            .AddPolicy(Agents, policy => policy.AddAuthenticationSchemes(Agents).RequireAuthenticatedUser());
    }

    public static string UserName(this ClaimsPrincipal user) => user.Identity?.Name ?? "nobody";

    public static HostId AgentHost(this ClaimsPrincipal user) =>
        HostId.TryParse(user.Identity?.Name, out HostId host) ? host : throw new ErrorException(Errors.NoAgentCertificate);

    private static AuthenticateResult Known(string name, string scheme)
    {
        ClaimsIdentity identity = new([new Claim(ClaimTypes.Name, name)], scheme);
        return AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), scheme));
    }

    private sealed class UserHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, UserTokens tokens)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
    {
        private const string Prefix = "Bearer ";

        protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
        {
            string? header = Request.Headers.Authorization;
            if (header is null || !header.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
            {
                return AuthenticateResult.NoResult();
            }

            return await tokens.FindUserAsync(header[Prefix.Length..].Trim(), Context.RequestAborted) is { } user
                ? Known(user, Users)
                : AuthenticateResult.Fail("unknown token");
        }

        protected override Task HandleChallengeAsync(AuthenticationProperties properties)
        {
            Response.Headers.WWWAuthenticate = "Bearer";
            return Problems.WriteAsync(Context, Errors.NoToken, StatusCodes.Status401Unauthorized);
        }
    }

    private sealed class AgentHandler(
        IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, VaultAuthority authority, VaultStorage storage)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
    {
        private ErrorInfo _refusal = Errors.NoAgentCertificate; // a handler lives for one request

        protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
        {
            if (Context.Connection.ClientCertificate is not { } certificate)
            {
                return AuthenticateResult.NoResult();
            }

            if (authority.AgentOf(certificate) is not { } host)
            {
                _refusal = Errors.CertificateOfAnotherVault("The host");
                return AuthenticateResult.Fail(_refusal.What);
            }

            await using VaultDb db = storage.Open();
            if (await db.Hosts.AnyAsync(row => row.Id == host.Value, Context.RequestAborted))
            {
                return Known(host.ToString(), Agents);
            }

            _refusal = Errors.HostRemoved;
            return AuthenticateResult.Fail(_refusal.What);
        }

        protected override Task HandleChallengeAsync(AuthenticationProperties properties) =>
            Problems.WriteAsync(Context, _refusal, StatusCodes.Status401Unauthorized);
    }
}
