using Understudy.CommandLine;

return await Commands.InvokeAsync(args, CommandIo.Console);
