Console.Error.WriteLine("sim: not built yet");
return 2;
