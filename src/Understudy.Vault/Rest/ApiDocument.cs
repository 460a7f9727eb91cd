using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Rest;

/// <summary>The OpenAPI document at /openapi/v1.json: made from the routes, with what they cannot say by themselves.</summary>
internal static class ApiDocument
{
    private const string TokenScheme = "token";

    /// <summary>Types that travel as text.</summary>
    private static readonly Dictionary<Type, string> _textual = new()
    {
        [typeof(VmId)] = "uuid",
        [typeof(ReplicaId)] = "uuid",
        [typeof(HostId)] = "uuid",
        [typeof(LineId)] = "line",
        [typeof(RecoveryPointId)] = "recovery-point",
    };

    public static void Add(IServiceCollection services) => services.AddOpenApi("v1", options =>
    {
        options.AddDocumentTransformer(DescribeAsync);
        options.AddOperationTransformer(AddProblemAsync);
        options.AddSchemaTransformer((schema, context, _) =>
        {
            if (_textual.TryGetValue(context.JsonTypeInfo.Type, out string? format))
            {
                (schema.Type, schema.Format) = (JsonSchemaType.String, format);
            }

            return Task.CompletedTask;
        });
    });

    private static Task DescribeAsync(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        document.Info.Title = "Understudy";
        document.Info.Version = "v1";
        document.Info.Description =
            "Every answer that is not a success is problem details (RFC 9457) with code, what, why and next. "
            + "Commands answer 202 with a job. Users send a bearer token; agents show the certificate they got when they joined.";
        document.Components ??= new OpenApiComponents();
        document.Components.SecuritySchemes ??= new Dictionary<string, IOpenApiSecurityScheme>();
        document.Components.SecuritySchemes[TokenScheme] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer" };
        document.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(TokenScheme, document)] = [] }];
        return Task.CompletedTask;
    }

    private static async Task AddProblemAsync(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        OpenApiSchema problem = await context.GetOrCreateSchemaAsync(typeof(ProblemDto), null, cancellationToken);
        operation.Responses ??= [];
        operation.Responses["default"] = new OpenApiResponse
        {
            Description = "No: what happened, why, and what to do next.",
            Content = new Dictionary<string, OpenApiMediaType>
            {
                [ProblemDto.ContentType] = new() { Schema = problem },
            },
        };
        if (context.Description.ActionDescriptor.EndpointMetadata.OfType<IAllowAnonymous>().Any())
        {
            operation.Security = []; // no token needed
        }
    }
}
